"""Square's API, as far as sales go: an order, the payment that names its till, and the search for orders.

Bearer token, `Square-Version` pinned: the form of what is answered does not change under us.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from server.outbound import Outbound, Reply
from server.ports import Account, Answer, Fetched
from server.providers.pos.days import instant
from server.providers.pos.exact import only
from server.providers.pos.square.order import Order
from server.resilience.errors import PermanentError, UnknownError

VERSION = "2024-10-17"
TIMEOUT_S = 15
OK = 200
STALE = 400
GONE = 404
PAGE = 200
MAX_LIST_BYTES = 8 * 1024 * 1024
MAX_ORDER_BYTES = 1024 * 1024
STATES = ("COMPLETED",)


class Listed(BaseModel):
    """An order as the search finds it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=80)]
    version: int = 0
    updated_at: AwareDatetime


class Page(NamedTuple):
    """A page of the search, and where it goes on."""

    answer: Answer
    orders: Sequence[Listed] = ()
    next: str | None = None


_LIST = TypeAdapter(list[Listed])


class SquareApi:
    """Asks Square."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound

    async def order(self, account: Account, order_id: str) -> Fetched:
        """An order, with the till its first payment was taken at. Raises OutboundError, DeliveryError."""
        reply = await self._get(account, f"/v2/orders/{quote(order_id, safe='')}")
        if reply.status != OK:
            return Fetched(reply.answer())
        order = _member(reply, "order")
        if order.get("state") in STATES:
            paid = await self._payment(account, order)
            if paid is not None and paid.status not in {OK, GONE}:
                return Fetched(paid.answer())
            order["device"] = None if paid is None or paid.status == GONE else _device(paid)
        return Fetched(reply.answer(), to_json(only(order, Order)))

    async def _payment(self, account: Account, order: Mapping[str, Any]) -> Reply | None:
        """The first payment; None where it was not paid by one."""
        tenders = order.get("tenders") or ()
        payment_id = next((one["payment_id"] for one in tenders if one.get("payment_id")), None)
        return None if payment_id is None else await self._get(account, f"/v2/payments/{quote(payment_id, safe='')}")

    async def search(self, account: Account, begin: datetime, cursor: str | None) -> Page:
        """Orders updated since a moment, the oldest update first. Raises as `order` does."""
        asked: dict[str, Any] = {
            "location_ids": str(account.settings["locations"]).split(","),
            "limit": PAGE,
            "query": {
                "filter": {
                    "state_filter": {"states": STATES},
                    "date_time_filter": {"updated_at": {"start_at": instant(begin)}},
                },
                "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
            },
        }
        if cursor is not None:
            asked["cursor"] = cursor
        url, headers = self._url(account, "/v2/orders/search"), self._headers(account)
        reply = await self._outbound.post(url, to_json(asked), headers, TIMEOUT_S, limit=MAX_LIST_BYTES)
        if reply.status != OK:
            return Page(reply.answer())
        said = _document(reply)
        return Page(reply.answer(), _listed(said.get("orders") or ()), said.get("cursor"))

    async def locations(self, account: Account) -> Reply:
        """The account's locations: costs nothing, and shows whether the token is good."""
        return await self._get(account, "/v2/locations")

    async def _get(self, account: Account, path: str) -> Reply:
        return await self._outbound.get(self._url(account, path), self._headers(account), TIMEOUT_S, MAX_ORDER_BYTES)

    def _url(self, account: Account, path: str) -> str:
        return f"{str(account.settings['base_url']).rstrip('/')}{path}"

    def _headers(self, account: Account) -> Mapping[str, str]:
        token = account.secrets.get("access_token", "")
        return {"Authorization": f"Bearer {token}", "Square-Version": VERSION, "Content-Type": "application/json"}


def _document(reply: Reply) -> dict[str, Any]:
    if reply.body is None:
        raise PermanentError("answer_too_large")
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise UnknownError("unreadable_answer") from None
    if not isinstance(document, dict):
        raise UnknownError("unreadable_answer")
    return document


def _device(reply: Reply) -> str | None:
    details = _member(reply, "payment").get("device_details")
    device_id = details.get("device_id") if isinstance(details, dict) else None
    return device_id if isinstance(device_id, str) else None


def _member(reply: Reply, name: str) -> dict[str, Any]:
    member = _document(reply).get(name)
    if not isinstance(member, dict):
        raise UnknownError("unreadable_answer")
    return member


def _listed(orders: Any) -> list[Listed]:
    try:
        return _LIST.validate_python(orders)
    except ValidationError:
        raise UnknownError("unreadable_answer") from None
