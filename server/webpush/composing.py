"""Composing: what waits for a device becomes a message, in the outbox, in one transaction.

Rules:

1. Notices of a kind wait `BURST` from the first, and until their device's quiet hours are over; then all of them are
   one message. After one, the next of that kind waits `PACE`: a flood is a message every few minutes.
2. Only what still holds is told: an invoice that somebody read meanwhile, a conflict that was decided, what is deleted
   or has moved out of its person's sight is not.
3. A message's id follows from what it tells and since when; composed twice, it is there once.
4. A lane is a device and a kind: what a quiet or slow kind waits for holds no other up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from server.auth.subscribed import forget_unheard
from server.engine.records import Records
from server.ids import derived, uuid7
from server.outbox.draft import COLUMNS, INSERT
from server.outbox.keys import delivery_id, idempotency_key
from server.ports import NoticeKind, Route
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from server.webpush.message import TERMS, Telling, declarative, topic
from server.webpush.notices import PROVIDER
from server.webpush.subscribers import Subscriber, living
from server.webpush.texts import Invoice, say, say_invoices
from sync.clock import decode_instant, encode_instant
from sync.record import Record

BURST_MS = 30_000
PACE_MS = 5 * 60_000
MOST = 1_000
"""So many notices make one message at most; the rest makes the next."""

COLLECTION, OPERATION = "notifications", "notify"
ROUTE = Route(
    "webpush.notify",
    collection=COLLECTION,
    provider=PROVIDER,
    operation=OPERATION,
    when=lambda _before, _after: False,  # it is composed, not collected
    on_dead="skip",  # what nobody could be told holds up no later news
)
_RECORDS: Mapping[NoticeKind, str] = {"invoice": "invoices", "conflict": "conflicts"}

_GROUPS = Statement(
    """SELECT n.device_id, n.kind, min(n.noted_at) FROM webpush_notices AS n WHERE n.tenant_id = :tenant_id
       GROUP BY n.device_id, n.kind ORDER BY n.device_id, n.kind"""
)
_WAITING = Statement(
    f"""SELECT subject, about, noted_at FROM webpush_notices WHERE tenant_id = :tenant_id AND device_id = :device_id
       AND kind = :kind ORDER BY noted_at, subject LIMIT {MOST}"""  # noqa: S608  # our own number
)
_DONE = Statement(
    """DELETE FROM webpush_notices WHERE tenant_id = :tenant_id AND device_id = :device_id AND kind = :kind
       AND subject = :subject"""
)
_OF_LANE = """SELECT max(created_at) AS at FROM outbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND collection = :collection AND record_id = :record_id AND"""
# In two parts, one for each index of a lane: those that hold it, and those that do not.
LAST = Statement(f"SELECT max(l.at) FROM ({_OF_LANE} holds UNION ALL {_OF_LANE} NOT holds) AS l")  # noqa: S608
_UNREAD = Statement(
    """SELECT audience, count(*) FROM invoices WHERE tenant_id = :tenant_id AND NOT deleted AND NOT read
       GROUP BY audience"""
)
_UNDECIDED = Statement(
    """SELECT audience, count(*) FROM conflicts WHERE tenant_id = :tenant_id AND NOT deleted AND status = 'open'
       GROUP BY audience"""
)


class Group(NamedTuple):
    """Notices of a kind for a device, and when they are to be told; None: nobody is there any more."""

    device_id: str
    kind: NoticeKind
    due_ms: int
    subscriber: Subscriber | None


async def groups(tx: Tx, tenant_id: str, now_ms: int) -> list[Group]:
    """What waits at a merchant's."""
    rows = await tx.fetch(_GROUPS, {"tenant_id": tenant_id})
    subscribers = await living(tx, tenant_id, encode_instant(now_ms)) if rows else {}
    found = []
    for device_id, kind, since in rows:
        subscriber = subscribers.get(device_id)
        due_ms = now_ms if subscriber is None else await _due_ms(tx, tenant_id, kind, since, subscriber, now_ms)
        found.append(Group(device_id, kind, due_ms, subscriber))
    return found


async def compose(records: Records, public_url: str | None, tenant_id: str, writing: Writing) -> int:
    """Make messages of all that is due at a merchant's; how many. It runs in a job that names the merchant."""
    await forget_unheard(writing, tenant_id)  # those whose session ran out by itself
    rows = []
    badges: _Counts | None = None
    for group in await groups(writing.tx, tenant_id, writing.now_ms):
        if group.due_ms > writing.now_ms:
            continue
        key = {"tenant_id": tenant_id, "device_id": group.device_id, "kind": group.kind}
        waiting = await writing.tx.fetch(_WAITING, key)
        await writing.tx.many(_DONE, [{**key, "subject": subject} for subject, *_ in waiting])
        if group.subscriber is None or not group.subscriber.wants(group.kind):
            continue
        badges = badges or await _count(writing.tx, tenant_id)
        telling = await _telling(records, writing.tx, group.kind, group.subscriber, waiting, badges)
        if telling is not None:
            rows.append(_row(group.subscriber, telling, waiting[0][2], public_url, writing))
    if rows:
        await writing.tx.copy("outbox", COLUMNS, INSERT, rows)
        writing.tenant(tenant_id).revision += 1  # wakes the relay, in whatever process it runs
    return len(rows)


async def _due_ms(tx: Tx, tenant_id: str, kind: NoticeKind, since: str, subscriber: Subscriber, now_ms: int) -> int:
    lane = {"endpoint_id": subscriber.endpoint_id, "collection": COLLECTION}
    record_id = _lane(tenant_id, subscriber.principal.device_id, kind)
    last = (await tx.fetch(LAST, {"tenant_id": tenant_id, **lane, "record_id": record_id}))[0][0]
    due_ms = decode_instant(since) + BURST_MS
    if last is not None:
        due_ms = max(due_ms, decode_instant(last) + PACE_MS)
    return due_ms if subscriber.quiet is None else subscriber.quiet.over_ms(max(due_ms, now_ms))


async def _telling(
    records: Records,
    tx: Tx,
    kind: NoticeKind,
    subscriber: Subscriber,
    waiting: Sequence[Sequence[str]],
    badges: "_Counts",
) -> Telling | None:
    """What is told, or None where nothing of it holds any more."""
    tenant_id, lang = subscriber.principal.tenant_id, subscriber.lang
    subjects = [subject for subject, *_ in waiting]
    if kind in _RECORDS:
        name = _RECORDS[kind]
        found = await records.load(tx, tenant_id, [(name, subject) for subject in subjects])
        subjects = [one for one in subjects if _holds(kind, found.get((name, one)), subscriber)]
        invoices = [_invoice(found[name, one]) for one in subjects] if kind == "invoice" else []
        said = say_invoices(lang, invoices) if invoices else None
    else:
        said = None
    if not subjects:
        return None
    alert = from_json(waiting[0][1]).get("alert")
    said = said or say(lang, kind, len(subjects), alert)
    return Telling(kind, subjects, said, lang, badges.of(subscriber))


def _holds(kind: NoticeKind, record: Record | None, subscriber: Subscriber) -> bool:
    if record is None or record.deleted or not subscriber.principal.scope().sees(record.audience):
        return False
    return not record.fields["read"] if kind == "invoice" else record.fields["status"] == "open"


def _invoice(record: Record) -> Invoice:
    fields = record.fields
    return Invoice(fields["supplier_name"], fields["total"], fields["currency"])


def _row(
    subscriber: Subscriber, telling: Telling, since: str, public_url: str | None, writing: Writing
) -> tuple[Any, ...]:
    tenant_id, device_id = subscriber.principal.tenant_id, subscriber.principal.device_id
    terms = TERMS[telling.kind]
    payload = {
        "device_id": device_id,
        "person_id": subscriber.principal.person_id,
        "topic": topic(telling),
        "urgency": terms.urgency,
        "ttl_s": int(terms.ttl.total_seconds()),
        "message": declarative(telling, public_url),
    }
    uid = derived(PROVIDER, tenant_id, device_id, telling.kind, since, *telling.subjects)
    key = idempotency_key(tenant_id, uid, ROUTE.name, subscriber.endpoint_id, OPERATION)
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    values |= {
        "tenant_id": tenant_id,
        "delivery_id": delivery_id(uid, key),
        "endpoint_id": subscriber.endpoint_id,
        "route": ROUTE.name,
        "operation": OPERATION,
        "collection": COLLECTION,
        "record_id": _lane(tenant_id, device_id, telling.kind),
        "sequence": writing.now_ms,
        "uid": uid,
        "payload": to_json(payload).decode(),
        "idempotency_key": key,
        "correlation_id": f"webpush-{uuid7()}",
        "state": "pending",
        "holds": True,
        "attempts": 0,
        "failures": 0,
        "ambiguous": False,
        "next_attempt_at": writing.now,
        "fence": 0,
        "created_at": writing.now,
        "not_after": encode_instant(writing.now_ms + int(terms.ttl.total_seconds() * 1000)),
    }
    return tuple(values[name] for name in COLUMNS)


def _lane(tenant_id: str, device_id: str, kind: NoticeKind) -> str:
    return derived(PROVIDER, tenant_id, device_id, kind)


class _Counts(NamedTuple):
    """How many invoices are unread and conflicts open, by audience."""

    by_audience: Mapping[str, int]

    def of(self, subscriber: Subscriber) -> int:
        """How many of them somebody sees."""
        scope = subscriber.principal.scope()
        return sum(count for audience, count in self.by_audience.items() if scope.sees(audience))


async def _count(tx: Tx, tenant_id: str) -> _Counts:
    found: dict[str, int] = defaultdict(int)
    for statement in (_UNREAD, _UNDECIDED):
        for audience, count in await tx.fetch(statement, {"tenant_id": tenant_id}):
            found[audience] += count
    return _Counts(found)
