"""Polling Fatture in Cloud: what was received since some days before the last poll, pending and registered.

The API's filters know days, and not whose zone they are in; so a round reads whole days, one at least that was read
before. Documents that any event brought before are not fetched again. Once a day a round looks back further, for what
appeared late. Pages move when a pending document is registered: what slips through is in the next round's days.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from server.ports import Account, Found, Polled
from server.providers.sdi.fic.api import ELECTRONIC, OK, Document, FicApi, Kind
from server.providers.sdi.fic.scheme import RECEIVED

PAGE_SIZE = 100
DAY_MS = 24 * 60 * 60 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LISTS: tuple[tuple[Kind, dict[str, str], str], ...] = (
    ("pending", {"type": ELECTRONIC, "sort": "date,id"}, "date"),
    ("registered", {"type": "expense", "sort": "created_at,id"}, "created_at"),
    ("registered", {"type": "passive_credit_note", "sort": "created_at,id"}, "created_at"),
)
"""What is asked for, one list after the other, each by the field that its filter knows."""


class Cursor(BaseModel):
    """`ended_ms` is when the last round began that ended, `looked_ms` when one last looked back far.

    Within a round, `begun_ms` and `since` say what it reads, `at` and `page` where it goes on.
    """

    model_config = ConfigDict(frozen=True)

    ended_ms: int
    looked_ms: int = 0
    begun_ms: int | None = None
    since: str = ""
    at: Annotated[int, Field(ge=0, lt=len(LISTS))] = 0
    page: Annotated[int, Field(ge=1)] = 1


class FicPoller:
    """Finds documents received."""

    def __init__(self, api: FicApi) -> None:
        """`api` asks."""
        self._api = api

    def every_s(self, account: Account) -> int:
        """The endpoint's setting."""
        return int(account.settings.get("poll_every_s", 1800))

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page. The first round looks `backfill_days` back. Raises OutboundError, DeliveryError."""
        at = _begun(account, None if cursor is None else Cursor.model_validate_json(cursor), now_ms)
        kind, query, by = LISTS[at.at]
        asked = {**query, "q": f"{by} >= '{at.since}'", "page": str(at.page), "per_page": str(PAGE_SIZE)}
        page = await self._api.page(account, kind, asked)
        if page.answer.status != OK:
            return Polled(page.answer, cursor=cursor)
        after = _after(at, more=page.more and bool(page.items))
        found = [_found(kind, one) for one in page.items if _is_ours(kind, one)]
        return Polled(page.answer, found, after.model_dump_json(), more=after.begun_ms is not None)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment."""
        at = Cursor.model_validate_json(cursor)
        return Cursor(ended_ms=min(at.ended_ms, since_ms), looked_ms=at.looked_ms).model_dump_json()


def _begun(account: Account, at: Cursor | None, now_ms: int) -> Cursor:
    """Where a round stands; a new one where none is under way."""
    if at is not None and at.begun_ms is not None:
        return at
    days, looked_ms = int(account.settings.get("poll_overlap_days", 1)), now_ms
    if at is None:
        since_ms = now_ms - int(account.settings.get("backfill_days", 30)) * DAY_MS
    elif now_ms - at.looked_ms >= DAY_MS:
        since_ms = min(at.ended_ms, now_ms) - max(days, int(account.settings.get("look_back_days", 7))) * DAY_MS
    else:
        since_ms, looked_ms = min(at.ended_ms, now_ms) - days * DAY_MS, at.looked_ms
    since = (_EPOCH + timedelta(milliseconds=since_ms)).date().isoformat()
    ended_ms = now_ms if at is None else at.ended_ms
    return Cursor(ended_ms=ended_ms, looked_ms=looked_ms, begun_ms=now_ms, since=since)


def _after(at: Cursor, *, more: bool) -> Cursor:
    """Where it goes on: the next page, the next list, or the end of the round."""
    if more:
        return at.model_copy(update={"page": at.page + 1})
    if at.at + 1 < len(LISTS):
        return at.model_copy(update={"at": at.at + 1, "page": 1})
    assert at.begun_ms is not None
    return Cursor(ended_ms=at.begun_ms, looked_ms=at.looked_ms)


def _is_ours(kind: Kind, document: Document) -> bool:
    """Whether it came by the exchange; the list's own filter is not always kept."""
    return document.type in {None, ELECTRONIC} if kind == "pending" else bool(document.e_invoice)


def _found(kind: Kind, document: Document) -> Found:
    name = f"{kind}/{document.id}"
    return Found(f"poll:{name}", RECEIVED[kind], name, to_json({"data": {"ids": [document.id]}}))
