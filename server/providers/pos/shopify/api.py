"""Shopify's Admin API, as far as sales go: an order, and the list of orders by last update."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from server.outbound import Outbound, Reply
from server.ports import Account, Answer, Fetched, UnusableEventError
from server.providers.pos.days import instant
from server.providers.pos.exact import exact_bytes, only, parse_exact
from server.providers.pos.shopify.order import Order
from server.resilience.errors import PermanentError, UnknownError

VERSION = "2024-10"
TIMEOUT_S = 15
OK = 200
STALE = 400
PAGE = 250
MAX_BYTES = 8 * 1024 * 1024
_NEXT = re.compile(r'<([^<>]{1,2000})>;\s*rel="next"')


class Listed(BaseModel):
    """An order as the list names it: no more is asked for, for the rest tells of persons."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    updated_at: AwareDatetime


class Page(NamedTuple):
    """Orders as they are listed, and where the list goes on."""

    answer: Answer
    orders: Sequence[Listed] = ()
    next: str | None = None


_LIST = TypeAdapter(list[Listed])


class ShopifyApi:
    """Asks a shop."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound

    async def order(self, account: Account, order_id: int) -> Fetched:
        """An order. Raises OutboundError, DeliveryError."""
        reply = await self._get(account, f"orders/{order_id}.json", {})
        if reply.status != OK:
            return Fetched(reply.answer())
        order = _document(reply).get("order")
        if not isinstance(order, dict):
            raise UnknownError("unreadable_answer")
        return Fetched(reply.answer(), exact_bytes(only(order, Order)))

    async def page(self, account: Account, begin: datetime, page_info: str | None) -> Page:
        """Orders updated since a moment, the oldest update first. Raises as `order` does."""
        asked = {"limit": str(PAGE), "fields": "id,updated_at"}
        if page_info is None:
            asked |= {"status": "any", "order": "updated_at asc", "updated_at_min": instant(begin)}
        else:
            asked["page_info"] = page_info  # nothing else may stand beside it
        reply = await self._get(account, "orders.json", asked)
        if reply.status != OK:
            return Page(reply.answer())
        try:
            orders = _LIST.validate_python(_document(reply).get("orders"))
        except ValidationError:
            raise UnknownError("unreadable_answer") from None
        return Page(reply.answer(), orders, _next(reply.headers.get("link", "")))

    async def shop(self, account: Account) -> Reply:
        """The shop's own record: costs nothing, and shows whether the token is good."""
        return await self._get(account, "shop.json", {})

    async def _get(self, account: Account, path: str, query: Mapping[str, str]) -> Reply:
        base = str(account.settings["shop_url"]).rstrip("/")
        url = f"{base}/admin/api/{VERSION}/{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"X-Shopify-Access-Token": account.secrets.get("access_token", "")}
        return await self._outbound.get(url, headers, TIMEOUT_S, MAX_BYTES)


def _document(reply: Reply) -> dict[str, Any]:
    if reply.body is None:
        raise PermanentError("answer_too_large")
    try:
        return parse_exact(reply.body)
    except UnusableEventError:
        raise UnknownError("unreadable_answer") from None


def _next(link: str) -> str | None:
    """The `page_info` of the next page, from the header that names it."""
    found = _NEXT.search(link)
    return None if found is None else parse_qs(urlsplit(found[1]).query).get("page_info", [None])[0]
