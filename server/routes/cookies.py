"""The refresh token of a browser, in a cookie no script can read; and that no other site can have it sent.

Rules:

1. The cookie is HttpOnly and SameSite=Strict. By HTTPS it is `__Host-…`: no subdomain can set another one.
2. A request that is carried by the cookie, or that asks for one, must say in a header that it was meant (`X-Rientro`:
   another site cannot set it without asking first), and a browser must say that it comes from this very origin.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from server.auth.errors import AccessError
from server.auth.sessions import LIFE_MS
from server.routes.state import State

_NAME = "rientro_refresh"
_MEANT = "x-rientro"
_OWN = frozenset(("same-origin", "none"))


def cookie_name(request: Request[State]) -> str:
    """What it is called where the request came in."""
    return f"__Host-{_NAME}" if request.scope["scheme"] == "https" else _NAME


def set_refresh(request: Request[State], response: Response, token: str) -> None:
    """Have the browser keep a refresh token."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=LIFE_MS // 1000,
        path="/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )


def drop_refresh(request: Request[State], response: Response) -> None:
    """Have the browser forget it."""
    secure = request.scope["scheme"] == "https"
    response.delete_cookie(cookie_name(request), path="/", secure=secure, httponly=True, samesite="strict")


def refresh_of(request: Request[State]) -> str | None:
    """The refresh token that the cookie holds. Raises AccessError (cross_site) where another site may have sent it."""
    token = request.cookies.get(cookie_name(request))
    if token is None:
        return None
    check_meant(request)
    return token


def check_meant(request: Request[State]) -> None:
    """A cookie is to be set or used: see that our own page asks. Raises AccessError (cross_site)."""
    if request.headers.get(_MEANT) is None or not _is_own(request):
        raise AccessError("cross_site", "A page of another site asked for this: nothing was done.", status=403)


def _is_own(request: Request[State]) -> bool:
    origin = request.headers.get("origin")
    if origin is not None and _host_of(origin) != request.headers.get("host"):
        return False
    return request.headers.get("sec-fetch-site", "none") in _OWN


def _host_of(origin: str) -> str:
    """Nobody's where it is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
