"""Polling Shopify: orders by their last update; a refund is an update of its order."""

from pydantic_core import to_json

from server.ports import Account, Found, Polled
from server.providers.pos.days import millis
from server.providers.pos.shopify.api import OK, STALE, Listed, ShopifyApi
from server.providers.pos.shopify.scheme import versioned
from server.providers.pos.window import moment, rewound, window


class ShopifyPoller:
    """Finds orders, and updates of them, that no webhook told of."""

    def __init__(self, api: ShopifyApi) -> None:
        """`api` asks."""
        self._api = api

    def every_s(self, account: Account) -> int:
        """The endpoint's setting."""
        return int(account.settings.get("poll_every_s", 300))

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page. Raises OutboundError, DeliveryError."""
        at = window(cursor, account.settings, now_ms)
        page = await self._api.page(account, at.begin, at.page)
        if page.answer.status == STALE and at.page is not None:  # its page has been forgotten there
            page = await self._api.page(account, at.begin, None)
        if page.answer.status != OK:
            return Polled(page.answer, cursor=cursor)
        after = at.after([one.updated_at for one in page.orders], page.next, moment(now_ms))
        return Polled(page.answer, [_found(one) for one in page.orders], after.model_dump_json(), page.next is not None)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment."""
        return rewound(cursor, since_ms)


def _found(order: Listed) -> Found:
    named = versioned(order.id, millis(order.updated_at))
    return Found(f"poll:{named}", "orders/polled", named, to_json({"order_id": order.id}))
