"""Polling the Invoicetronic API: what came in since the last poll and some time before, in order of its last update.

The list moves while it is read: an invoice that is updated goes to its end, and every later one a place forward. So a
page begins at the last update of the page before, and page numbers are used only among equal ones.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from server.ports import Account, Found, Polled
from server.providers.sdi.api import InvoicetronicApi, Listed, Page

PAGE_SIZE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(BaseModel):
    """`seen` is the newest update met; within a round, `begin` and `page` say where it goes on."""

    model_config = ConfigDict(frozen=True)

    seen: datetime
    begin: datetime | None = None
    page: Annotated[int, Field(ge=1)] = 1


class InvoicetronicPoller:
    """Finds received invoices."""

    def __init__(self, api: InvoicetronicApi) -> None:
        """`api` asks."""
        self._api = api

    def every_s(self, account: Account) -> int:
        """The endpoint's setting."""
        return int(account.settings.get("poll_every_s", 900))

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page. The first round looks `backfill_days` back. Raises OutboundError, DeliveryError."""
        now = _EPOCH + timedelta(milliseconds=now_ms)
        at = _first(account, now) if cursor is None else Cursor.model_validate_json(cursor)
        begin = at.begin or at.seen - timedelta(minutes=int(account.settings.get("poll_overlap_minutes", 60)))
        page = await self._api.page(account, _query(account, begin, at.page))
        if page.answer.status != 200:  # noqa: PLR2004
            return Polled(page.answer, cursor=cursor)
        after, more = _after(at, begin, page, now)
        return Polled(page.answer, [_found(item) for item in page.items], after.model_dump_json(), more)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment, by as much as any round overlaps the one before."""
        at = Cursor.model_validate_json(cursor)
        begun = at.seen if at.begin is None else min(at.seen, at.begin)
        return Cursor(seen=min(begun, _EPOCH + timedelta(milliseconds=since_ms))).model_dump_json()


def _first(account: Account, now: datetime) -> Cursor:
    begin = now - timedelta(days=int(account.settings.get("backfill_days", 30)))
    return Cursor(seen=begin, begin=begin)


def _query(account: Account, begin: datetime, page: int) -> dict[str, str]:
    query = {
        "last_update_from": begin.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z",
        "sort": "last_update",
        "page": str(page),
        "page_size": str(PAGE_SIZE),
    }
    company_id = account.settings.get("company_id")
    return query if company_id is None else {**query, "company_id": str(company_id)}


def _after(at: Cursor, begin: datetime, page: Page, now: datetime) -> tuple[Cursor, bool]:
    """Where it goes on, and whether there is more in this round."""
    updates = [item.updated_at for item in page.items]
    met = [one for one in updates if one is not None]
    seen = max([at.seen, *(one for one in met if one <= now)])  # a time to come would hide what comes until then
    more = len(page.items) >= PAGE_SIZE if page.total is None else at.page * PAGE_SIZE < page.total
    if not more or not page.items:
        return Cursor(seen=seen), False
    last = _cut(met[-1]) if met == sorted(met) and len(met) == len(updates) else begin
    if last > begin:
        return Cursor(seen=seen, begin=last), True
    return Cursor(seen=seen, begin=begin, page=at.page + 1), True


def _cut(moment: datetime) -> datetime:
    """To the milliseconds that a query carries."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def _found(item: Listed) -> Found:
    told = {
        "id": f"poll:{item.id}",
        "endpoint": "receive",
        "method": "GET",
        "resource_id": item.id,
        "company_id": item.company_id,
        "success": True,
    }
    return Found(f"poll:{item.id}", "receive.poll", f"receive/{item.id}", to_json(told))
