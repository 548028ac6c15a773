"""How the other side tells us what became of what we posted: by signed webhooks, or by hints that nobody signed.

`standard` carries the object, signed with the endpoint's own secret. `hint` carries an object's name, comes to an
address that only the other side knows, and is worth one fetch: what counts is what the fetch brings.
"""

from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import from_json

from server.outbound import Outbound
from server.ports import (
    Account,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
)
from server.providers.http.told import Hint, read_object
from server.resilience.errors import PermanentError
from server.standard_webhooks import HEADERS, verify

EVENT_TYPE = "object"
MAX_OBJECT_BYTES = 64 * 1024
TIMEOUT_S = 15


class SignedScheme:
    """`standard`: the object comes with the webhook, signed by the Standard Webhooks specification."""

    kind: SchemeKind = "signed"
    fetches = False
    kept_headers = HEADERS

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time. Raises WebhookRefusedError."""
        verified = verify(account, received, ("secret",))
        return Recognised(verified.event_id, EVENT_TYPE, _named(received.body), verified.secret)

    async def fetch(self, _event: WebhookEvent) -> Fetched | None:
        """Nothing: the event says everything."""
        return None

    def read(self, event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        """News of a record of ours. Raises UnusableEventError."""
        return read_object(event.body, event.account)


class HintScheme:
    """`hint`: an object's name, from anybody who knows the address."""

    kind: SchemeKind = "hint"
    fetches = True
    kept_headers = frozenset[str]()

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` fetches."""
        self._outbound = outbound

    def verify(self, _account: Account, received: Received) -> Recognised:
        """Which object is meant. Raises WebhookRefusedError where none is named."""
        object_id = _named(received.body)
        if object_id is None:
            raise WebhookRefusedError("unreadable")
        return Recognised("", EVENT_TYPE, object_id, "hint")

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The object as it is now. Raises OutboundError, PermanentError."""
        account = event.account
        url = f"{str(account.settings['objects_url']).rstrip('/')}/{quote(_hinted(event.body), safe='')}"
        reply = await self._outbound.get(url, {}, TIMEOUT_S, MAX_OBJECT_BYTES, account)
        if reply.body is None:
            raise PermanentError("answer_too_large")
        return Fetched(reply.answer(), reply.body)

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """News of a record of ours. Raises UnusableEventError."""
        if fetched is None or fetched.content is None:
            raise UnusableEventError("no_object", "There is no object under this name.")
        return read_object(fetched.content, event.account, _hinted(event.body))


def _named(body: bytes) -> str | None:
    try:
        return Hint.model_validate_json(body).id
    except ValidationError:
        return None


def _hinted(body: bytes) -> str:
    """The name in a hint as we stored it."""
    return str(from_json(body)["object_id"])
