"""What the routes are handed: the services of the process, made once by the composition root."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from asgi_correlation_id import correlation_id
from pydantic import SecretStr
from starlette.requests import Request

from server.audit.listing import Audit
from server.audit.refusals import Refusals
from server.auth.admin import Admin
from server.auth.directory import Directory
from server.auth.entrance import Entrance
from server.auth.guard import Guard, Known
from server.auth.invites import Invites
from server.auth.keys import Keys
from server.auth.oidc.sign_in import OidcSignIn
from server.auth.pairing import Pairing
from server.auth.passkeys import Passkeys
from server.auth.people import People
from server.auth.sessions import Sessions
from server.auth.sign_in import SignIn
from server.auth.signed import SignedRequests
from server.auth.signer import Signer
from server.engine.documents import Documents
from server.engine.exchange import Exchange
from server.engine.kept import Kept
from server.engine.live import Pokes
from server.engine.resend import Resender
from server.inbox.receive import Receiver
from server.ops.figures import Watch
from server.ports import Conversation, NotPermittedError, Permission, Principal
from server.privacy.erase import Eraser
from server.privacy.export import Exporter
from server.routes.problem import UnauthenticatedError
from server.routes.proof import prove
from server.routes.refused import TENANT
from server.storage.database import Database
from server.storage.writer import Writer
from server.webpush.keys import VapidKeys
from server.webpush.subscriptions import PushSubscriptions
from sync.protocol import Registry


@dataclass(frozen=True)
class Watching:
    """What watches the installation, who may see it, and how it judges.

    `tls_ends_at`: when the certificate ends that we serve with.
    """

    watch: Watch
    token: SecretStr | None
    providers: tuple[str, ...]
    down_after_ms: int
    tls_ends_at: str | None = None


@dataclass(frozen=True)
class Access:
    """Who may come in, and by what."""

    signer: Signer
    keys: Keys
    sessions: Sessions
    guard: Guard
    admin: Admin
    people: People
    entrance: Entrance
    sign_in: SignIn
    invites: Invites
    pairing: Pairing
    passkeys: Passkeys
    directory: Directory
    public_url: str | None
    clock: Callable[[], int]
    requests: SignedRequests


class Telling(Protocol):
    """Web push, as far as routes ask."""

    @property
    def keys(self) -> VapidKeys:
        """Of merchants."""

    @property
    def subscriptions(self) -> PushSubscriptions:
        """Of devices."""


@dataclass(frozen=True)
class Services:
    """Everything a route may call."""

    database: Database
    writer: Writer
    registry: Registry
    access: Access
    exchange: Exchange
    receiver: Receiver
    pokes: Pokes
    kept: Kept
    documents: Documents
    resender: Resender
    exporter: Exporter
    eraser: Eraser
    audit: Audit
    refusals: Refusals
    watching: Watching
    connect: Callable[[Mapping[str, str]], Awaitable[object]]
    oidc: OidcSignIn | None
    openapi: Mapping[str, Any]
    webpush: Telling
    conversations: Mapping[str, Conversation]


class State(TypedDict):
    """The lifespan's state."""

    services: Services


async def signed_in(request: Request[State], permission: Permission, revision: int | None = None) -> Principal:
    """Who is asking, as it is stored now, or as of a revision of the tenant; a key must have the permission.

    Raises UnauthenticatedError, NotPermittedError, AccessError.
    """
    guard, bearer = request.state["services"].access.guard, bearer_of(request)
    known = await (guard.now(bearer) if revision is None else guard.as_of(bearer, revision))
    principal = admitted(known)
    request.scope[TENANT] = principal.tenant_id
    await prove_it(request, known)
    if not principal.may(permission):
        raise NotPermittedError(permission)
    return principal


def bearer_of(request: Request[State]) -> str:
    """What the request bears. Raises UnauthenticatedError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError
    return token.strip()


def admitted(known: Known | None) -> Principal:
    """Who was found, if there is somebody. Raises UnauthenticatedError."""
    if known is None:
        raise UnauthenticatedError
    return known.principal


async def prove_it(request: Request[State], known: Known | None) -> None:
    """Look at the certificate and the signature that a key asks for, once a request. Raises AccessError."""
    services = request.state["services"]
    if known is not None:
        await prove(request, known, services.access.requests, services.access.clock())


def current_correlation_id() -> str:
    """The id this request's traces go by."""
    return correlation_id.get() or ""
