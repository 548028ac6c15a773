"""Polling SumUp: the history of transactions by change. Card readers tell nobody: their sales come by this alone."""

from pydantic_core import to_json

from server.ports import Account, Found, Polled
from server.providers.pos.sumup.api import OK, STALE, Listed, SumUpApi
from server.providers.pos.window import moment, rewound, window


class SumUpPoller:
    """Finds transactions, and changes of them."""

    def __init__(self, api: SumUpApi) -> None:
        """`api` asks."""
        self._api = api

    def every_s(self, account: Account) -> int:
        """The endpoint's setting."""
        return int(account.settings.get("poll_every_s", 300))

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page. Raises OutboundError, DeliveryError."""
        at = window(cursor, account.settings, now_ms)
        page = await self._api.history(account, at.begin, at.page)
        if page.answer.status == STALE and at.page is not None:  # its page has been forgotten there
            page = await self._api.history(account, at.begin, None)
        if page.answer.status != OK:
            return Polled(page.answer, cursor=cursor)
        after = at.after([one.timestamp for one in page.items], page.next, moment(now_ms))
        found = [_found(one) for one in page.items]
        return Polled(page.answer, found, after.model_dump_json(), page.next is not None)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment."""
        return rewound(cursor, since_ms)


def _found(item: Listed) -> Found:
    """One state of a transaction: a refund makes another one of it."""
    transaction_id = item.transaction_id or item.id
    named = f"transaction/{transaction_id}@{item.type}/{item.status}/{item.refunded_amount}/{item.id}"
    return Found(f"poll:{named}", "transaction.polled", named, to_json({"transaction_id": transaction_id}))
