"""Polling the events list: what no webhook delivered. Stripe keeps events for 30 days, and lists the newest first.

A round reads everything since some time before the newest event it met (the overlap), page after page, whatever the
order; what happens while it reads comes in the next one. Events that are about nothing of ours are left out.
"""

from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from server.ports import Account, Found, Polled, UnusableEventError
from server.providers.stripe.api import StripeApi, options, said
from server.providers.stripe.events import Event, parse_event

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PAGE_SIZE = 100
Second = Annotated[int, Field(ge=0)]


class Cursor(BaseModel):
    """`seen` is when the newest event met was made; within a round, `begin` and `after` say where it goes on."""

    model_config = ConfigDict(frozen=True)

    seen: Second
    begin: Second | None = None
    after: str | None = None


class StripePoller:
    """Finds events."""

    def __init__(self, api: StripeApi) -> None:
        """`api` asks."""
        self._api = api

    def every_s(self, account: Account) -> int:
        """The endpoint's setting."""
        return int(account.settings.get("poll_every_s", 900))

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page. The first round looks `backfill_days` back. Raises OutboundError, a DeliveryError."""
        at = _first(account, now_ms) if cursor is None else Cursor.model_validate_json(cursor)
        overlap_s = 60 * int(account.settings.get("poll_overlap_minutes", 60))
        begin = max(0, at.seen - overlap_s) if at.begin is None else at.begin
        params: Any = {"created": {"gte": begin}, "limit": PAGE_SIZE}
        if at.after is not None:
            params["starting_after"] = at.after
        page = await said(self._api.client(account).v1.events.list_async(params, options(account)))
        if not page.is_success:
            return Polled(page.answer, cursor=cursor)
        document = page.document
        listed = document.get("data", [])
        events = [event for one in listed for event in _readable(one)]
        seen = max([at.seen, *(one.created for one in events if one.created * 1000 <= now_ms)])
        last = str(listed[-1].get("id", "")) if listed else ""
        more = bool(document.get("has_more")) and bool(last)
        after = Cursor(seen=seen, begin=begin, after=last) if more else Cursor(seen=seen)
        return Polled(page.answer, _found(events), after.model_dump_json(), more)

    def rewind(self, _account: Account, cursor: str, since_ms: int) -> str:
        """A round that begins before that moment, by as much as any round overlaps the one before."""
        at = Cursor.model_validate_json(cursor)
        begun = at.seen if at.begin is None else min(at.seen, at.begin)
        return Cursor(seen=min(begun, since_ms // 1000)).model_dump_json()


def _first(account: Account, now_ms: int) -> Cursor:
    begin = max(0, now_ms // 1000 - 86_400 * int(account.settings.get("backfill_days", 7)))
    return Cursor(seen=begin, begin=begin)


def _readable(listed: Any) -> list[Event]:
    """The event, or none: what nobody can read holds up nothing that comes after it."""
    try:
        return [parse_event(to_json(listed))]
    except UnusableEventError as error:
        log.warning("event_unreadable", provider="stripe", event_id=listed.get("id"), reason=error.message)
        return []


def _found(events: list[Event]) -> list[Found]:
    """Those about something of ours, by their names alone."""
    return [
        Found(event.id, event.type, about.name, event.model_dump_json().encode(), by_id=True)
        for event in reversed(events)
        for about in [event.subject]
        if about is not None
    ]
