"""Calls to Stripe by its SDK: as the account, with our version of the API, and an answer whatever came.

What comes back is JSON text, to be read by models of ours: the SDK's objects would let anything pass. The SDK itself is
imported with the first call: it takes a third of a second and 40 MB, which only those pay who have an account there.
"""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json

from server.outbound import Outbound
from server.ports import Account, Answer

if TYPE_CHECKING:
    from stripe import RequestOptions, StripeClient

API_VERSION = "2026-10-28.endive"
"""What we speak, and what a webhook endpoint at Stripe should be made with; it moves with the SDK, by hand."""

BASE_URL = "https://api.stripe.com"
TIMEOUT_S = 20
KEY_REUSED = "idempotency_key_reused"
"""The code of a refusal: our key came before with other parameters."""


class Said(NamedTuple):
    """What Stripe said: the answer as the engine wants it, and the object where it is one."""

    answer: Answer
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the object is there."""
        return bool(self.body)

    @property
    def document(self) -> dict[str, Any]:
        """The object; empty where there is none."""
        found: Any = from_json(self.body) if self.body else {}
        return found if isinstance(found, dict) else {}

    def about(self, reference: str) -> Answer:
        """The answer, as being about a thing of another name."""
        return self.answer._replace(reference=reference)


class StripeApi:
    """Stripe, for all accounts of a process."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` sends."""
        self._outbound = outbound
        self._clients: dict[tuple[str, int], StripeClient] = {}

    def client(self, account: Account) -> "StripeClient":
        """The SDK, for where an account is; it holds no key."""
        from server.providers.stripe.transport import make_client  # noqa: PLC0415  see above

        settings = account.settings
        place = str(settings.get("base_url", BASE_URL)).rstrip("/"), int(settings.get("timeout", TIMEOUT_S))
        if place not in self._clients:
            self._clients[place] = make_client(self._outbound, *place, API_VERSION)
        return self._clients[place]


def options(account: Account, key: str | None = None) -> "RequestOptions":
    """Whose call it is, and under which idempotency key."""
    known: RequestOptions = {"api_key": account.secrets["api_key"]}
    return known if key is None else {**known, "idempotency_key": key}


async def said(call: Awaitable[Any]) -> Said:
    """Wait for what Stripe says. Raises OutboundError, UnknownError."""
    from stripe import StripeError  # noqa: PLC0415  who made the call has imported it

    from server.providers.stripe.errors import answer_of  # noqa: PLC0415

    try:
        thing = await call
    except StripeError as error:
        return Said(answer_of(error))
    response = thing.last_response
    headers: Mapping[str, str] = response.headers
    name = getattr(thing, "id", None)
    return Said(Answer(200, name, headers.get("request-id"), None, headers.get("date")), response.body.encode())
