"""SumUp's API, as far as sales go: a checkout, a transaction, and the history of transactions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from server.outbound import Outbound, Reply
from server.ports import Account, Answer, Fetched, UnusableEventError
from server.providers.pos.days import instant
from server.providers.pos.exact import exact_bytes, only, parse_exact
from server.providers.pos.sumup.transaction import Checkout, Transaction
from server.resilience.errors import PermanentError, UnknownError

TIMEOUT_S = 15
OK = 200
STALE = 400
PAGE = 100
MAX_BYTES = 4 * 1024 * 1024


class Listed(BaseModel):
    """A transaction as the history lists it."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    id: str
    transaction_id: str | None = None
    timestamp: AwareDatetime
    status: str = ""
    type: str = "PAYMENT"
    refunded_amount: str = "0"


class Page(NamedTuple):
    """A page of the history, and the query that goes on."""

    answer: Answer
    items: Sequence[Listed] = ()
    next: str | None = None


_LIST = TypeAdapter(list[Listed])


class SumUpApi:
    """Asks SumUp."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound

    async def checkout(self, account: Account, checkout_id: str) -> Fetched:
        """A checkout. Raises OutboundError, DeliveryError."""
        reply = await self._get(account, f"/v0.1/checkouts/{quote(checkout_id, safe='')}", {})
        return _fetched(reply, Checkout)

    async def transaction(self, account: Account, transaction_id: str) -> Fetched:
        """A transaction, whole. Raises as `checkout` does."""
        reply = await self._get(account, f"{_merchant(account)}/transactions", {"id": transaction_id})
        return _fetched(reply, Transaction)

    async def history(self, account: Account, begin: datetime, page: str | None) -> Page:
        """Transactions that changed since a moment. Raises as `checkout` does."""
        first = {"order": "ascending", "limit": str(PAGE), "changes_since": instant(begin)}
        asked = first if page is None else {**first, **dict(parse_qsl(page))}
        reply = await self._get(account, f"{_merchant(account)}/transactions/history", asked)
        if reply.status != OK:
            return Page(reply.answer())
        said = _document(reply)
        try:
            items = _LIST.validate_python(said.get("items") or [])
        except ValidationError:
            raise UnknownError("unreadable_answer") from None
        return Page(reply.answer(), items, _next(said.get("links")) if items else None)

    async def merchant(self, account: Account) -> Reply:
        """The newest line of the history: costs nothing, and shows whether key and merchant are good."""
        return await self._get(account, f"{_merchant(account)}/transactions/history", {"limit": "1"})

    async def _get(self, account: Account, path: str, query: Mapping[str, str]) -> Reply:
        base = str(account.settings["base_url"]).rstrip("/")
        url = f"{base}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {account.secrets.get('api_key', '')}"}
        return await self._outbound.get(url, headers, TIMEOUT_S, MAX_BYTES)


def _merchant(account: Account) -> str:
    return f"/v2.1/merchants/{quote(str(account.settings['merchant_code']), safe='')}"


def _fetched(reply: Reply, model: type[BaseModel]) -> Fetched:
    return Fetched(reply.answer(), exact_bytes(only(_document(reply), model)) if reply.status == OK else None)


def _document(reply: Reply) -> dict[str, Any]:
    if reply.body is None:
        raise PermanentError("answer_too_large")
    try:
        return parse_exact(reply.body)
    except UnusableEventError:
        raise UnknownError("unreadable_answer") from None


def _next(links: Any) -> str | None:
    """The query of the next page."""
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            return str(link["href"]).rpartition("?")[2][:2000]
    return None
