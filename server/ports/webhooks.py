"""Webhooks: what came in, whether it is the vendor's, and what it says."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from server.ports.accounts import Account
from server.ports.outbox import Answer
from sync.collection import Fields

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
    """A webhook as it came in: header names in lower case, the body's raw bytes, and when, in ms since 1970.

    `certificate`: the one its connection was made with, in PEM, where the route asks for one.
    """

    headers: Mapping[str, str]
    body: bytes
    now_ms: int
    certificate: str | None = None


class Recognised(NamedTuple):
    """A webhook that is the vendor's. `event_id` is what its redeliveries share.

    `object_id` names what it is about, so that a poll knows what came already; `verified_by` the secret that fitted,
    or `hint` where the vendor signs nothing. `by_id`: the id alone says that it is the same, for the vendor writes its
    bodies anew at each delivery; what counts is fetched.
    """

    event_id: str
    event_type: str
    object_id: str | None
    verified_by: str
    by_id: bool = False


class WebhookEvent(NamedTuple):
    """One stored event on its way to being processed; `received_at` is when we stored it.

    `event_type` is what the scheme recognised it as, empty where that could not be stored.
    """

    account: Account
    event_id: str
    body: bytes
    received_at: str
    event_type: str = ""


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
    `known_only`: it tells of the end of something, and is nothing where that never was here.
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
    known_only: bool = False


class Reading(NamedTuple):
    """What an event says: drafts, parts of it that cannot be used, or why there is nothing to do.

    `files` are contents that its records name by their SHA-256: kept with them, and fetched by people on demand.
    """

    drafts: Sequence[Draft] = ()
    unusable: Sequence[UnusableEventError] = ()
    ignored: str | None = None
    files: Sequence[bytes] = ()


SchemeKind = Literal[
    "signed",  # the vendor signs what it sends: it is kept raw, and believed
    "hint",  # it signs nothing: only the object's name is kept, and wakes a fetch
]


class Challenge(NamedTuple):
    """What a vendor asks an address before it tells it anything: headers in lower case, and the address's query."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    now_ms: int


@runtime_checkable
class Challenged(Protocol):
    """A scheme whose vendor asks first whether anybody expects its webhooks."""

    def challenged(self, account: Account, challenge: Challenge) -> Mapping[str, str]:
        """The answer, to be sent as JSON. Raises WebhookRefusedError for who is not the vendor."""


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
    def fetches(self) -> bool:
        """Whether events may point at something: such calls take from the endpoint's gate, with the event's claim."""

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


def webhook_path(tenant_id: str, provider: str, endpoint_id: str, hook: str = "") -> str:
    """Where a provider sends its webhooks; the address names its tenant.

    One that signs nothing needs the address with its secret part, shown when the endpoint is made and not again.
    """
    secret = f".{hook}" if hook else ""
    return f"/v1/webhooks/{provider}/{tenant_id.replace('-', '')}.{endpoint_id.replace('-', '')}{secret}"
