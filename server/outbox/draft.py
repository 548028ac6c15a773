"""A delivery as it is stored: the row, and the payload in it, frozen as text.

What is sent later is what was accepted, whatever becomes of the record. The payload says when the change was made and
not when it was accepted: a server that went back to a backup accepts it again, and a provider may compare what comes
under a key it knows.
"""

from typing import Any, NamedTuple

from pydantic_core import to_json

from server.outbox.keys import delivery_id, idempotency_key
from server.outbox.lanes import Lane
from server.ports import Route
from server.storage.statement import Statement
from sync.clock import decode_instant, encode_instant
from sync.record import Record

COLUMNS = (
    "tenant_id", "delivery_id", "endpoint_id", "route", "operation", "collection", "record_id", "sequence", "uid",
    "payload", "idempotency_key", "correlation_id", "state", "holds", "attempts", "failures", "ambiguous",
    "next_attempt_at", "fence", "created_at", "doubted_from", "not_after", "after",
)  # fmt: skip
INSERT = Statement(
    f"INSERT INTO outbox ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608
)

Row = tuple[Any, ...]
"""A delivery's values in the order of COLUMNS."""


class To(NamedTuple):
    """Where a delivery goes, and by which operation."""

    tenant_id: str
    endpoint_id: str
    route: Route
    operation: str


class News(NamedTuple):
    """What a delivery tells: a record as it stands, by which change, and when that was made.

    `doubted_from`: since when it may have been sent in a history that is lost here.
    """

    record_id: str
    record: Record
    uid: str
    event: str
    made_at: str
    correlation_id: str
    doubted_from: str | None


def draft(to: To, news: News, now: str) -> tuple[Row, Lane]:
    """The row of a delivery that nobody has tried, and its place in its lane.

    A compensation is owed however late it is.
    """
    route, record = to.route, news.record
    key = idempotency_key(to.tenant_id, news.uid, route.name, to.endpoint_id, to.operation)
    lane = Lane(to.endpoint_id, route.collection, news.record_id, record.version)
    row = (
        *(to.tenant_id, delivery_id(news.uid, key), to.endpoint_id, route.name, to.operation, *lane[1:]),
        *(news.uid, frozen(route, news), key, news.correlation_id),
        *("pending", True, 0, 0, news.doubted_from is not None, now, 0, now, news.doubted_from),
        *(None if to.operation == route.compensation else not_after(route, news.made_at), None),
    )
    return row, lane


def frozen(route: Route, news: News) -> str:
    """The payload: the record as it stands after the change, in the wire's own form. JSON text."""
    record = news.record
    data = {
        "collection": route.collection,
        "record_id": news.record_id,
        "version": record.version,
        "deleted": record.deleted,
        "fields": record.fields,
    }
    return to_json({"type": f"{route.collection}.{news.event}", "timestamp": news.made_at, "data": data}).decode()


def not_after(route: Route, made_at: str) -> str | None:
    """Until when a delivery of a change that was made then may go out."""
    if route.not_after_s is None:
        return None
    return encode_instant(decode_instant(made_at) + int(route.not_after_s * 1000))
