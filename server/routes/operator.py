"""Who may watch the whole installation: whoever has the metrics token, or asks from this machine itself.

Rules:

1. Without a token in the settings nobody is let in from elsewhere.
2. From this machine means: the connection comes from a loopback address, the request names a loopback host, and nothing
   says that a proxy passed it on. A proxy on this machine brings everybody's requests from a loopback address; that it
   leaves out the usual headers as well as the host that was asked for would be its own doing.
"""

import hmac
import ipaddress

from pydantic import SecretStr
from starlette.requests import Request

from server.routes.problem import UnauthenticatedError
from server.routes.state import State

_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))


def has_token(request: Request[State], token: SecretStr | None) -> bool:
    """Whether the request bears the metrics token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())


def check_operator(request: Request[State], token: SecretStr | None) -> None:
    """Let the operator pass. Raises UnauthenticatedError."""
    if not has_token(request, token) and not _from_here(request):
        raise UnauthenticatedError


def _from_here(request: Request[State]) -> bool:
    if any(name in request.headers for name in _PASSED_ON):
        return False
    return _is_loopback(request) and _host(request) in _HERE


def _is_loopback(request: Request[State]) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _host(request: Request[State]) -> str:
    """What the request calls us; nothing where that is no host."""
    try:
        return request.url.hostname or ""
    except ValueError:
        return ""
