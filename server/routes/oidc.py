"""`/v1/auth/oidc/…`: sign-in by the installation's OpenID provider; `/v1/auth/ways`: what one can sign in by here.

Rules:

1. What has to be remembered until the provider sends its person back is in a cookie of this browser, sealed; it is
   SameSite=Lax, for the answer comes from another site.
2. Where the answer ends, a browser has its refresh token in its own cookie, and nothing of the answer is in a page.
3. A preview of the address (HEAD) uses nothing up.
"""

from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from server.auth.entrance import Place
from server.auth.errors import AccessError
from server.auth.oidc.begun import LIFE_MS
from server.auth.oidc.form import CALLBACK
from server.auth.oidc.sign_in import Entered, OidcSignIn, Wish
from server.routes.access import actor_of
from server.routes.cookies import cookie_name, set_refresh
from server.routes.forms import TEXT, Id, Name, answer, object_schema
from server.routes.openapi import Operation
from server.routes.parameters import Parameter, parse_parameters
from server.routes.problem import on_access_error
from server.routes.state import State

START = "/v1/auth/oidc/start"
_COOKIE = "rientro_oidc"
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_ERRORS = (400, 403, 404, 422, 502, 503)
_LONGEST_AGE_S = 10 * 365 * 86_400
_FLAG = {"type": "boolean"}
_WAYS = object_schema(
    password=_FLAG,
    passkey=_FLAG,
    pairing=_FLAG,
    oidc={"type": ["object", "null"], "properties": {"issuer": TEXT, "start": TEXT}},
)
_ASKED = (
    Parameter("then", Annotated[str, Field(max_length=500)], "A path of this server to go to then.", required=False),
    Parameter(
        "prompt",
        Literal["none", "login", "consent", "select_account"],
        "What the provider is to ask, whoever is signed in there.",
        required=False,
    ),
    Parameter(
        "max_age",
        Annotated[int, Field(ge=0, le=_LONGEST_AGE_S)],
        "How many seconds ago somebody may have signed in there.",
        required=False,
    ),
    Parameter("device_id", Id, "A device the person was signed in on before.", required=False),
    Parameter("device_name", Name, "How a new device is called.", required=False, default="Browser"),
)


async def start(request: Request[State]) -> Response:
    """Send a person to the provider."""
    oidc, asked = _oidc(request), parse_parameters(request, _ASKED)
    place = Place(asked["device_name"], named=asked["device_id"])
    wish = Wish(asked["then"], asked["prompt"], asked["max_age"])
    # Nothing is done by this token, and a browser sends it for our own pages only: SameSite=Strict.
    begun = await oidc.begin(place, wish, request.cookies.get(cookie_name(request)))
    response = RedirectResponse(begun.url, 303, headers=_HEADERS)
    response.set_cookie(
        _cookie_name(request),
        begun.sealed,
        max_age=LIFE_MS // 1000,
        path="/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )
    return response


async def callback(request: Request[State]) -> Response:
    """End a sign-in; a provider may add parameters of its own, so unknown ones are let through."""
    if request.method == "HEAD":
        return Response(headers=_HEADERS)
    oidc, sealed = _oidc(request), request.cookies.get(_cookie_name(request))
    try:
        entered = await oidc.end(dict(request.query_params), sealed, actor_of(request))
    except AccessError as error:
        response = await on_access_error(request, error)
        response.headers.update(_HEADERS)
        if error.code == "unknown_state":  # of another sign-in, or of nobody's: the one under way goes on
            return response
    else:
        response = _entered(request, entered)
    secure = request.scope["scheme"] == "https"
    response.delete_cookie(_cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")
    return response


async def ways(request: Request[State]) -> Response:
    """What this installation offers."""
    oidc = request.state["services"].oidc
    told = None if oidc is None else {"issuer": oidc.issuer, "start": START}
    return answer({"password": True, "passkey": True, "pairing": True, "oidc": told})


def oidc_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    return (
        Operation("GET", "/v1/auth/ways", ways, "By what one can sign in here.", response=_WAYS, public=True),
        Operation(
            "GET",
            START,
            start,
            "Sign in by the OpenID provider of this installation: a browser is sent there.",
            errors=_ERRORS,
            public=True,
            parameters=_ASKED,
            redirects=True,
        ),
        Operation(
            "GET",
            CALLBACK,
            callback,
            "Come back from the OpenID provider.",
            response={"type": "string"},
            media_type="text/plain",
            errors=_ERRORS,
            public=True,
            parameters=tuple(
                Parameter(name, str, about, required=False)
                for name, about in (
                    ("state", "What the sign-in was begun with; good once, in the browser it was begun in."),
                    ("code", "What the tokens are got for."),
                    ("error", "Why there is no code."),
                    ("iss", "Who answers (RFC 9207)."),
                )
            ),
            redirects=True,
        ),
    )


def _oidc(request: Request[State]) -> OidcSignIn:
    oidc = request.state["services"].oidc
    if oidc is None:
        raise AccessError("oidc_off", "This server has no OpenID provider: sign in another way.", status=404)
    return oidc


def _entered(request: Request[State], entered: Entered) -> Response:
    response: Response
    if entered.then is None:
        response = PlainTextResponse("Signed in. This page can be closed.\n", headers=_HEADERS)
    else:
        response = RedirectResponse(entered.then, 303, headers=_HEADERS)
    set_refresh(request, response, entered.issued.refresh_token)
    return response


def _cookie_name(request: Request[State]) -> str:
    return f"__Host-{_COOKIE}" if request.scope["scheme"] == "https" else _COOKIE
