"""The edge: what every request passes before a route sees it, and every answer on its way out.

From outside in: security headers (also on what a defect is answered with), correlation id, the client a trusted proxy
names, the access log, other origins' pages, rate limits.
"""

import re
import secrets
import time
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from server import meters
from server.auth.certificates import to_pem
from server.middleware.access import AccessLog
from server.middleware.buckets import Rate
from server.middleware.headers import SecurityHeaders
from server.middleware.limits import Limits, Rates
from server.middleware.proxy import TrustedProxy
from server.routes.problem import problem
from server.settings import Settings

_CORRELATION_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_ADDRESS_BURST, _DEVICE_BURST, _SIGN_IN_BURST = 3000, 1000, 60
"""A shop's tills come back at once after an outage, each with its queue."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASKED = ("Authorization", "Content-Encoding", "Content-Type", "X-Request-ID")
_TOLD = ("Retry-After", "WWW-Authenticate", "X-Request-ID")


class Application(Starlette):
    """Starlette, with headers on the answers that its own middleware gives, too."""

    def build_middleware_stack(self) -> ASGIApp:
        """What answers."""
        return SecurityHeaders(super().build_middleware_stack())


def edge_middleware(settings: Settings) -> list[Middleware]:
    """The middleware, from outside in."""
    rates = Rates(
        Rate(settings.address_rate, _ADDRESS_BURST),
        Rate(settings.device_rate, _DEVICE_BURST),
        Rate(settings.sign_in_rate, _SIGN_IN_BURST),
    )
    return [
        Middleware(CorrelationIdMiddleware, generator=_new_correlation_id, validator=_is_correlation_id),
        Middleware(TrustedProxy, networks=settings.trusted_networks, to_pem=to_pem),
        Middleware(AccessLog),
        *_cors(settings),
        Middleware(Limits, rates=rates, clock=time.monotonic, refuse=_refuse),
    ]


def _cors(settings: Settings) -> list[Middleware]:
    """Nothing of ours is for other origins unless the settings name them; cookies never are."""
    if not settings.allowed_origins:
        return []
    allowed: dict[str, Any] = {"allow_origins": settings.allowed_origins, "allow_methods": _METHODS}
    return [Middleware(CORSMiddleware, **allowed, allow_headers=_ASKED, expose_headers=_TOLD, max_age=600)]


def _refuse(what: str, wait_s: int) -> ASGIApp:
    meters.REFUSALS.labels(f"too_many_{what}").inc()
    detail = "Too much was asked in too short a time: wait, then send it again."
    return problem(429, f"too_many_{what}", detail, headers={"Retry-After": str(wait_s)}, retry_after_s=wait_s)


def _new_correlation_id() -> str:
    return secrets.token_hex(16)


def _is_correlation_id(text: str) -> bool:
    """Whether a caller's own id can go into logs and tables as it stands."""
    return _CORRELATION_ID.fullmatch(text) is not None
