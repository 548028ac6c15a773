"""What the routes are handed: the services of the process, made once by the composition root."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from asgi_correlation_id import correlation_id
from pydantic import SecretStr
from starlette.requests import Request

from server.auth.devices import Devices
from server.engine.exchange import Exchange
from server.engine.kept import Kept
from server.engine.live import Pokes
from server.engine.resend import Resender
from server.inbox.receive import Receiver
from server.ops.figures import Watch
from server.ports import Principal
from server.routes.problem import UnauthenticatedError
from server.storage.database import Database
from sync.protocol import Registry


@dataclass(frozen=True)
class Watching:
    """What watches the installation, who may see it, and how it judges."""

    watch: Watch
    token: SecretStr | None
    providers: tuple[str, ...]
    down_after_ms: int


@dataclass(frozen=True)
class Services:
    """Everything a route may call."""

    database: Database
    registry: Registry
    devices: Devices
    exchange: Exchange
    receiver: Receiver
    pokes: Pokes
    kept: Kept
    resender: Resender
    watching: Watching
    connect: Callable[[Mapping[str, str]], Awaitable[object]]
    openapi: Mapping[str, Any]


class State(TypedDict):
    """The lifespan's state."""

    services: Services


async def signed_in(request: Request[State], revision: int | None = None) -> Principal:
    """Who is asking, as of that revision of the tenant where one is known. Raises UnauthenticatedError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    principal = None
    if scheme.lower() == "bearer":
        principal = await request.state["services"].devices.authenticate(token.strip(), revision)
    if principal is None:
        raise UnauthenticatedError
    return principal


def current_correlation_id() -> str:
    """The id this request's traces go by."""
    return correlation_id.get() or ""
