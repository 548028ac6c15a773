"""What engine, outbox, inbox and providers share without knowing each other: routes, calls, Protocols."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel

from server.storage.writer import Tenant, Writing
from sync.collection import Fields
from sync.judge import Accepted
from sync.outcome import Outcome
from sync.protocol import Mutation
from sync.scope import Scope


class Principal(NamedTuple):
    """A device that was let in. `shops` are those it may see: its own, or all of them for an owner."""

    tenant_id: str
    device_id: str
    role: str
    shop: str
    shops: frozenset[str]

    def scope(self) -> Scope:
        """What it may touch, and what its creations are filled in with."""
        audiences = {"tenant", f"role:{self.role}", *(f"shop:{shop}" for shop in self.shops)}
        return Scope(self.role, frozenset(audiences), {"shop": self.shop})


Predicate = Callable[[Fields | None, Fields], bool]
"""Whether a change matters: the record's fields before (None: it is new) and after."""

Event = Callable[[Fields | None, Fields], str]
"""What a change is called towards the provider, after the collection's name and a dot."""

DeliveryState = Literal[
    "pending",  # waits: for its turn, or until `next_attempt_at`
    "leased",  # a relay is at it
    "delivered",  # the provider has it
    "answered",  # the provider refused it for business reasons (402): no failure, no retry
    "superseded",  # a newer one carries its content
    "cancelled",  # a person took it back before it was tried
    "dead",  # given up; a person can redrive it
    "in_doubt",  # tried at most once, and nobody can know whether it took effect: for a person
]
OnDead = Literal["block", "skip", "supersede"]
"""What a dead delivery does to later ones of its record: hold them, let them pass, or give way to a newer one."""


def created_or_updated(before: Fields | None, _after: Fields) -> str:
    """The plainest event name."""
    return "created" if before is None else "updated"


def nothing_written_back(_state: DeliveryState, _reference: str | None) -> Fields:
    """The record is not told what became of its delivery."""
    return {}


@dataclass(frozen=True, slots=True)
class Route:
    """Which changes of a collection go to which operation of a provider; a tenant's bindings pick the endpoint.

    `write_back` gives the server-owned fields that tell of a delivery's end (delivered, answered, dead, in_doubt) and
    of the provider's reference. `echo`: also changes this very provider caused. `supersedes`: a newer delivery makes
    waiting ones of the same record, route and endpoint needless while they are unattempted; never for money.
    `may_fall_back`: a delivery that is proven to have had no effect may go through the endpoint's fallback; only where
    each delivery says everything by itself, and never for money.
    """

    name: str
    collection: str
    provider: str
    operation: str
    when: Predicate
    event: Event = created_or_updated
    write_back: Callable[[DeliveryState, str | None], Fields] = nothing_written_back
    on_dead: OnDead = "block"
    echo: bool = False
    supersedes: bool = False
    may_fall_back: bool = False


class Cause(NamedTuple):
    """Why the server writes: the correlation id it goes on under, and the provider whose news it is, if any."""

    correlation_id: str
    provider: str | None = None


class Collector(Protocol):
    """Gathers the deliveries of one transaction while its mutations are judged."""

    def accepted(self, change: Accepted) -> None:
        """Look at one accepted change, while it is fresh."""

    async def store(self) -> None:
        """Write the deliveries, in the transaction that accepted the changes."""


class Forwarding(Protocol):
    """The outbox's door for whoever accepts mutations."""

    async def collector(self, writing: Writing, tenant: Tenant, cause: Cause) -> Collector:
        """A collector for one transaction; the provider named in `cause` gets no echo of its own news."""


class Applying(Protocol):
    """The engine's door for mutations the server makes: answers, webhooks, polls, the command line."""

    async def apply(
        self, writing: Writing, tenant_id: str, author: str, mutations: Sequence[Mutation], cause: Cause
    ) -> list[Outcome]:
        """Apply mutations inside somebody's transaction; one whose uid was here before is not applied again.

        `author` is `provider:<endpoint>` or `system:<part>`. Outcomes come in order; a rejected one is kept with its
        code, and the others stand.
        """


class Answered(NamedTuple):
    """The end of a delivery, as what is observed of its object. `settings` are its endpoint's, JSON text."""

    tenant_id: str
    endpoint_id: str
    settings: str
    collection: str
    record_id: str
    reference: str | None


class Observing(Protocol):
    """The inbox's door for answers to our own calls: what is told of the same object later finds its record."""

    async def answered(self, writing: Writing, answered: Answered, /) -> None:
        """Take note of an end, in the transaction that settles it. What waited for it is due at once."""

    def settled(self) -> None:
        """That transaction was committed."""


class Unobserved:
    """Nobody is told of answers: for whoever only sends."""

    async def answered(self, _writing: Writing, _answered: Answered) -> None:
        """Pass."""

    def settled(self) -> None:
        """Pass."""


class Secrets(Protocol):
    """Opens what is sealed at rest."""

    def unseal(self, tenant_id: str, provider: str, endpoint_id: str, sealed: str, /) -> dict[str, str]:
        """An endpoint's secrets by name; in memory for one call only."""


@dataclass(frozen=True, slots=True)
class Account:
    """An endpoint as its provider sees it: a tenant's account there. Shown anywhere, it keeps its secrets."""

    tenant_id: str
    endpoint_id: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


class Call(NamedTuple):
    """One attempt to deliver.

    `payload` is the JSON text frozen when the change was accepted: the same at every attempt. `idempotency_key` is the
    same too, also from a server restored from a backup.
    """

    account: Account
    delivery_id: str
    idempotency_key: str
    correlation_id: str
    collection: str
    record_id: str
    payload: str
    attempt: int


class Answer(NamedTuple):
    """What the provider said. `status` is HTTP's (200 where a provider has none) and decides the class of a failure.

    `reference` is the provider's name for what it made, `request_id` its name for the request; `retry_after` and `date`
    are its headers as they stand. What is too long to keep, or holds what no database takes, is dropped by the relay.
    """

    status: int
    reference: str | None = None
    request_id: str | None = None
    retry_after: str | None = None
    date: str | None = None


Promise = Literal[
    "keyed",  # the provider honours the idempotency key: sent again, one effect
    "lookup",  # looked up before it is sent again: one effect
    "once",  # at most one effect; what is ambiguous ends in doubt, for a person
    "repeatable",  # a second effect does no harm
]


@dataclass(frozen=True, slots=True)
class Operation:
    """How to do one thing at a provider, and what that promises.

    Both callables raise OutboundError or a DeliveryError, or return the answer whatever its status. `look_up` returns
    None where the provider knows of no effect; `lookup` operations must have it.
    """

    promise: Promise
    send: Callable[[Call], Awaitable[Answer]]
    look_up: Callable[[Call], Awaitable[Answer | None]] | None = None

    def __post_init__(self) -> None:
        """Refuse a promise nobody could keep."""
        if self.promise == "lookup" and self.look_up is None:
            raise TypeError("an operation that promises `lookup` needs `look_up`")


class Provider(Protocol):
    """An adapter to one kind of outside party. Made by the composition root, called by relay and inbox."""

    @property
    def name(self) -> str:
        """As routes and endpoints name it."""

    @property
    def settings(self) -> type[BaseModel]:
        """The form of an endpoint's settings; what is a SecretStr there is sealed at rest."""

    def operations(self) -> Mapping[str, Operation]:
        """What the outbox may ask of it, by name."""


RefusalReason = Literal[
    "unsigned",  # no signature came, or none of a form anybody could check
    "bad_signature",  # it fits none of the endpoint's secrets
    "stale",  # it was signed too long ago: perhaps somebody sends an old one again
    "future",  # it claims to be signed later than now
    "wrong_address",  # a hint that came without the secret part of the endpoint's address
    "unreadable",  # a hint that names no object
]


class WebhookRefusedError(Exception):
    """A webhook that is not the vendor's: 401, counted, never processed."""

    def __init__(self, reason: RefusalReason) -> None:
        """One word for why; nothing of what came."""
        super().__init__(reason)
        self.reason = reason


TOLERANCE_S = 300
"""How far a signature's time may lie from ours, before or after."""


def refuse_untimely(signed_at_s: int, now_ms: int) -> None:
    """Raise WebhookRefusedError (stale, future) for a signature of another time.

    Asked after the signature itself was found good: of a forgery, nobody shall learn about our clock.
    """
    ahead_ms = signed_at_s * 1000 - now_ms
    if ahead_ms < -TOLERANCE_S * 1000:
        raise WebhookRefusedError("stale")
    if ahead_ms > TOLERANCE_S * 1000:
        raise WebhookRefusedError("future")


class UnusableEventError(Exception):
    """What a vendor told cannot be used, and the same again could not either: quarantined, kept raw, for a person."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is a stable word; `message` says what is wrong and quotes no value."""
        super().__init__(code)
        self.code, self.message = code, message


class Received(NamedTuple):
    """A webhook as it came in: header names in lower case, the body's raw bytes, and when, in ms since 1970."""

    headers: Mapping[str, str]
    body: bytes
    now_ms: int


class Recognised(NamedTuple):
    """A webhook that is the vendor's. `event_id` is what its redeliveries share.

    `object_id` names what it is about, so that a poll knows what came already; `verified_by` the secret that fitted,
    or `hint` where the vendor signs nothing.
    """

    event_id: str
    event_type: str
    object_id: str | None
    verified_by: str


class WebhookEvent(NamedTuple):
    """One stored event on its way to being processed; `received_at` is when we stored it."""

    account: Account
    event_id: str
    body: bytes
    received_at: str


class Fetched(NamedTuple):
    """What an event only points at. `facts` are what the other side says beside the content (names, ids)."""

    answer: Answer
    content: bytes | None = None
    facts: Mapping[str, str] = {}


class Ours(NamedTuple):
    """What an object at a provider says of being ours: what we sent with the call that made it, given back.

    `record_id` is our record's, `key` the call's idempotency key. With neither, the provider gives nothing back: an
    object that nobody knows may be ours for as long as a creation of ours is under way there.
    """

    record_id: str | None = None
    key: str | None = None


class Draft(NamedTuple):
    """A record as a provider tells of it, in wire form; whether it is news is not the provider's to say.

    It is known by `key` (an object of an account: `<endpoint_id>:<the provider's id>`), or by `weak_key` where either
    side does not know the other's `key`. The same `version` told twice, by whatever events, is the same news. `once`
    holds what is said at creation only.

    `watermark` says how old it is: the provider's own version, sequence or time of the last update, as a whole number
    that grows; what is older than what was applied is not applied. `final`: the thing is in a state that it never
    leaves for one that is not. `ours`: what it says of having been made by a call of ours; such a thing is never made
    a second time. `mapping` is the version of the mapping that read it: what a newer one makes of it is news.
    """

    collection: str
    key: str
    version: str
    fields: Fields
    once: Mapping[str, Any] = {}
    weak_key: str | None = None
    watermark: int | None = None
    final: bool = False
    ours: Ours | None = None
    mapping: int = 1


class Reading(NamedTuple):
    """What an event says: drafts, parts of it that cannot be used, or why there is nothing to do."""

    drafts: Sequence[Draft] = ()
    unusable: Sequence[UnusableEventError] = ()
    ignored: str | None = None


SchemeKind = Literal[
    "signed",  # the vendor signs what it sends: it is kept raw, and believed
    "hint",  # it signs nothing: only the object's name is kept, and wakes a fetch
]


class WebhookScheme(Protocol):
    """One vendor's way of telling us things.

    A `hint` scheme recognises an object and nothing more: `verify` reads its name, `fetch` gets the object named by the
    member `object_id` of the stored body, and `read` reads what was fetched. Its endpoints have a secret `hook`, the
    last part of their address, which the inbox checks.
    """

    @property
    def kind(self) -> SchemeKind:
        """What its webhooks are worth."""

    @property
    def kept_headers(self) -> frozenset[str]:
        """Headers of its own that may be stored as they are, in lower case."""

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time over the raw bytes. Raises WebhookRefusedError."""

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """Get what the event only points at; None where it says everything.

        Whatever the status, it is returned. Raises UnusableEventError, OutboundError or a DeliveryError.
        """

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """Make sense of it: pure, run in a thread where it is large. Raises UnusableEventError."""


class Found(NamedTuple):
    """An event that a poll found: processed as if its webhook had come. An object is taken in once an endpoint."""

    event_id: str
    event_type: str
    object_id: str
    body: bytes


class Polled(NamedTuple):
    """One page of a poll, and the cursor after it."""

    answer: Answer
    found: Sequence[Found] = ()
    cursor: str | None = None
    more: bool = False


class Poller(Protocol):
    """Finds what webhooks lost."""

    def every_s(self, account: Account) -> int:
        """How long to rest between two polls."""

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page, from a cursor or (None) from the beginning. Raises OutboundError or a DeliveryError.

        A round begins some time before its cursor: what becomes visible late is found all the same.
        """

    def rewind(self, account: Account, cursor: str, since_ms: int) -> str:
        """A cursor from which everything is found that became visible since a moment; never a later one than given."""


class Source(Protocol):
    """A provider as the inbox sees it: somebody who tells us things. An endpoint's setting `scheme` picks how."""

    @property
    def name(self) -> str:
        """As endpoints and webhook addresses name it."""

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """Its ways of telling, by name; an endpoint that names none has the first."""

    def pollers(self) -> Mapping[str, Poller]:
        """What to ask it regularly, by the scheme whose events that gives."""
