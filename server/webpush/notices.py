"""Notices: what was noticed, kept for each device it is for, in the transaction that found it out.

Rules:

1. Of a sale nothing is asked but whether its collection is watched: one look into a table of two names.
2. Who wants it, and whose person may see it, is asked when there is something to keep; a merchant without subscriptions
   keeps nothing.
3. The same subject waiting twice is one notice.
4. Of what the operator is told (`server.ops.alerts`), owners are told too, each time it is; not of failures to tell.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from pydantic_core import to_json

from server.ids import derived
from server.ports import Cause, Collector, Forwarding, Notice, NoticeKind
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from server.webpush.subscribers import living
from sync.judge import Accepted
from sync.record import Record

PROVIDER = "webpush"
Noting = Callable[[Writing, str, Sequence[Notice]], Awaitable[None]]
"""Keeps notices of a merchant, in a transaction."""
_NOTE = Statement(
    """INSERT INTO webpush_notices (tenant_id, device_id, kind, subject, about, noted_at)
       VALUES (:tenant_id, :device_id, :kind, :subject, :about, :now)
       ON CONFLICT (tenant_id, device_id, kind, subject) DO NOTHING"""
)
_PUSHED = Statement(
    """UPDATE alerts SET pushed = told + 1 WHERE tenant_id = :tenant_id AND kind = :kind AND subject = :subject
       AND pushed <= told"""
)
_OURS = Statement(
    "SELECT 1 FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND provider = 'webpush'"
)
_ANYBODY = Statement("/* across tenants */ SELECT 1 FROM webpush_subscriptions LIMIT 1")
_OF_ALERT: Mapping[str, NoticeKind] = {
    "failing": "died",
    "stuck": "died",
    "silent": "died",
    "alarm": "died",
    "closing": "closing",
}
"""What devices are told of an alert; one of another kind is the operator's alone."""
_OF_ACCOUNTS = frozenset(("failing", "stuck", "silent"))


def _arrived(before: Record | None, after: Record) -> bool:
    return before is None and not after.deleted


def _opened(before: Record | None, after: Record) -> bool:
    is_open = after.fields.get("status") == "open"
    return is_open and not after.deleted and (before is None or before.fields.get("status") != "open")


WATCHED: Mapping[str, tuple[NoticeKind, Callable[[Record | None, Record], bool]]] = {
    "invoices": ("invoice", _arrived),
    "conflicts": ("conflict", _opened),
}
"""By collection: what a change of a record is, and whether it is that."""


class Noticed:
    """Keeps notices for the devices they are for."""

    def __init__(self, database: Database, kept: Callable[[], None]) -> None:
        """`kept` is called when there are some; the commit comes a moment later."""
        self._database, self._kept = database, kept

    async def note(self, writing: Writing, tenant_id: str, notices: Sequence[Notice]) -> None:
        """See `server.ports.Notices`."""
        subscribers = await living(writing.tx, tenant_id, writing.now)
        rows = [
            {
                "tenant_id": tenant_id,
                "device_id": device_id,
                "kind": notice.kind,
                "subject": notice.subject,
                "about": to_json(dict(notice.about)).decode(),
                "now": writing.now,
            }
            for device_id, subscriber in subscribers.items()
            for notice in notices
            if subscriber.hears(notice.kind, notice.audience)
        ]
        if rows:
            await writing.tx.many(_NOTE, rows)
            self._kept()

    async def alerts(self, writing: Writing, told: Sequence[tuple[str, str, str]]) -> None:
        """Notices of what the operator is being told: (tenant, kind, subject) of each alert."""
        for tenant_id, alert, subject in told:
            kind = _OF_ALERT.get(alert)
            named = {"tenant_id": tenant_id, "kind": alert, "subject": subject}
            if kind is None or not await writing.tx.execute(_PUSHED, named):
                continue
            if alert in _OF_ACCOUNTS and await writing.tx.fetch(_OURS, (tenant_id, subject)):
                continue
            told_id = derived("alert", tenant_id, alert, subject)
            await self.note(writing, tenant_id, [Notice(kind, told_id, about={"alert": alert})])

    async def anybody(self) -> bool:
        """Whether any device of any merchant is subscribed."""

        async def work(tx: Tx) -> bool:
            return bool(await tx.fetch(_ANYBODY))

        return await self._database.read(work)


class Noticing:
    """The outbox's door, with somebody at it who looks for what people want to know."""

    def __init__(self, inner: Forwarding, note: Noting) -> None:
        """`inner` forwards; `note` keeps notices."""
        self._inner, self._note = inner, note

    async def collector(self, writing: Writing, tenant: Tenant, cause: Cause) -> Collector:
        """A collector that forwards, and looks."""
        return _Looking(await self._inner.collector(writing, tenant, cause), writing, tenant.tenant_id, self._note)


class _Looking:
    """Passes each change on, and keeps in mind what is news for people."""

    def __init__(self, inner: Collector, writing: Writing, tenant_id: str, note: Noting) -> None:
        self._inner, self._writing, self._tenant_id, self._note = inner, writing, tenant_id, note
        self._notices: list[Notice] = []
        self.accepted = _looker(inner.accepted, self._notices.append)

    async def store(self) -> None:
        """Write the deliveries, and the notices."""
        await self._inner.store()
        if self._notices:
            await self._note(self._writing, self._tenant_id, self._notices)


def _looker(forward: Callable[[Accepted], None], keep: Callable[[Notice], None]) -> Callable[[Accepted], None]:
    """What is called with every change of every push: a function and no method, for that is twice as quick."""
    watch = WATCHED.get

    def accepted(change: Accepted) -> None:
        watched = watch(change.collection.name)
        if watched is not None and watched[1](change.before, change.after):
            keep(Notice(watched[0], change.record_id, change.after.audience))
        forward(change)

    return accepted
