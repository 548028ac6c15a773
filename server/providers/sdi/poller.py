"""Polling the Invoicetronic API: what came in since the last poll and some time before, in order of its last update.

The list moves while it is read: an invoice that is updated goes to its end, and every later one a place forward. So a
page begins at the last update of the page before, and page numbers are used only among equal ones.
Once a day a round looks back further, for what became visible late; what is known already costs no fetch.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from server.ports import Account, Found, Polled
from server.providers.sdi.api import InvoicetronicApi, Listed, Page

PAGE_SIZE = 100
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(BaseModel):
    """`seen` is the newest update met; within a round, `begin` and `page` say where it goes on.

    `looked` is when a round last looked back far.
    """

    model_config = ConfigDict(frozen=True)

    seen: datetime
    looked: datetime = _EPOCH
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
        at = _first(account, now) if cursor is None else _begun(account, Cursor.model_validate_json(cursor), now)
        begin = at.begin or at.seen
        page = await self._api.page(account, _query(account, begin, at.page))
        if page.answer.status != 200:  # noqa: PLR2004
            return Polled(page.answer, cursor=cursor)
        after, more = _after(at, begin, page, now)
        return Polled(page.answer, [_found(item) for item in page.items], after.model_dump_json(), more)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment, by as much as any round overlaps the one before."""
        at = Cursor.model_validate_json(cursor)
        begun = at.seen if at.begin is None else min(at.seen, at.begin)
        return at.model_copy(
            update={"seen": min(begun, _EPOCH + timedelta(milliseconds=since_ms)), "begin": None, "page": 1}
        ).model_dump_json()


def _first(account: Account, now: datetime) -> Cursor:
    begin = now - timedelta(days=int(account.settings.get("backfill_days", 30)))
    return Cursor(seen=begin, begin=begin, looked=now)


def _begun(account: Account, at: Cursor, now: datetime) -> Cursor:
    """Where a round stands; a new one where none is under way."""
    if at.begin is not None:
        return at
    overlap = timedelta(minutes=int(account.settings.get("poll_overlap_minutes", 60)))
    if now - at.looked < DAY:
        return at.model_copy(update={"begin": at.seen - overlap})
    back = max(overlap, timedelta(days=int(account.settings.get("look_back_days", 7))))
    return at.model_copy(update={"begin": min(at.seen, now) - back, "looked": now})


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
        return Cursor(seen=seen, looked=at.looked), False
    last = _cut(met[-1]) if met == sorted(met) and len(met) == len(updates) else begin
    if last > begin:
        return Cursor(seen=seen, looked=at.looked, begin=last), True
    return Cursor(seen=seen, looked=at.looked, begin=begin, page=at.page + 1), True


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
