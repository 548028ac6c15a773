"""What the reconciler reads. No statement's cost grows with a tenant's history: each goes by an index to what it names.

`ix_sales_receipt` (terminal, number, day) finds a number, a range of numbers, and the unnumbered sales (0) of a day.
"""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from server.collections.closures import MOST_RECEIPTS
from server.reconcile.compare import Arrived
from server.storage.database import Row, Tx
from server.storage.statement import Statement

PAGE = 1000
_NEIGHBOURS = 8
_MOST_ARRIVED = 2 * MOST_RECEIPTS

BEHIND = Statement(
    """/* across tenants */ SELECT t.tenant_id, t.epoch, t.seq, coalesce(r.seq, 0) FROM tenants AS t
       LEFT JOIN reconciled AS r ON r.tenant_id = t.tenant_id WHERE t.seq > coalesce(r.seq, 0)"""
)
_AUDIENCES = Statement("SELECT audience FROM digests WHERE tenant_id = :tenant_id AND collection = :collection")
_SALES = Statement(
    f"""SELECT seq, CAST(id AS text), terminal_id, receipt_no, CAST(business_day AS text) FROM sales
       WHERE tenant_id = :tenant_id AND audience = :audience AND seq > :after ORDER BY seq LIMIT {PAGE}"""  # noqa: S608
)
_CLOSURES = Statement(
    f"""SELECT seq, CAST(id AS text) FROM closures
       WHERE tenant_id = :tenant_id AND audience = :audience AND seq > :after ORDER BY seq LIMIT {PAGE}"""  # noqa: S608
)
# Closings may overlap: the one that begins last need not be the one that ends last.
_LAST_CLOSED = Statement(
    f"""SELECT max(c.last_receipt) FROM (SELECT last_receipt FROM closures WHERE tenant_id = :tenant_id
       AND terminal_id = :terminal_id AND first_receipt IS NOT NULL
       ORDER BY first_receipt DESC LIMIT {_NEIGHBOURS}) AS c"""  # noqa: S608
)
# A number belongs to closings that begin at or before it, and lies in a gap before the one that begins after it.
_BEFORE = Statement(
    f"""SELECT CAST(id AS text), first_receipt, last_receipt, status FROM closures WHERE tenant_id = :tenant_id
       AND terminal_id = :terminal_id AND first_receipt <= :number ORDER BY first_receipt DESC
       LIMIT {_NEIGHBOURS}"""  # noqa: S608
)
_AFTER = Statement(
    f"""SELECT CAST(id AS text), first_receipt, last_receipt, status FROM closures WHERE tenant_id = :tenant_id
       AND terminal_id = :terminal_id AND first_receipt > :number ORDER BY first_receipt LIMIT {_NEIGHBOURS}"""  # noqa: S608
)
_OF_DAY = Statement(
    f"""SELECT CAST(id AS text) FROM closures WHERE tenant_id = :tenant_id AND terminal_id = :terminal_id
       AND first_receipt IS NULL AND business_day = :day LIMIT {_NEIGHBOURS}""",  # noqa: S608
    postgresql=f"""SELECT CAST(id AS text) FROM closures WHERE tenant_id = :tenant_id AND terminal_id = :terminal_id
       AND first_receipt IS NULL AND business_day = CAST(:day AS date) LIMIT {_NEIGHBOURS}""",  # noqa: S608
)
_ARRIVED_TEXT = """SELECT receipt_no, CAST(business_day AS text), status, payment_method, CAST(vat AS text) FROM sales
       WHERE tenant_id = :tenant_id AND terminal_id = :terminal_id AND NOT deleted"""
_IN_RANGE = Statement(f"{_ARRIVED_TEXT} AND receipt_no BETWEEN :first AND :last LIMIT {_MOST_ARRIVED}")
_UNNUMBERED = Statement(
    f"{_ARRIVED_TEXT} AND receipt_no = 0 AND business_day = :day LIMIT {_MOST_ARRIVED}",
    postgresql=f"{_ARRIVED_TEXT} AND receipt_no = 0 AND business_day = CAST(:day AS date) LIMIT {_MOST_ARRIVED}",
)
_NUMBERS = Statement(
    f"""SELECT DISTINCT receipt_no FROM sales WHERE tenant_id = :tenant_id AND terminal_id = :terminal_id
       AND NOT deleted AND receipt_no BETWEEN :first AND :last LIMIT {_MOST_ARRIVED}"""  # noqa: S608
)
_SAME_NUMBER = Statement(
    """SELECT s.terminal_id, s.receipt_no, CAST(s.id AS text) FROM json_each(:numbers) AS j
       CROSS JOIN sales AS s WHERE s.tenant_id = :tenant_id AND s.terminal_id = j.value ->> 0
       AND s.receipt_no = j.value ->> 1 AND NOT s.deleted""",
    postgresql="""SELECT s.terminal_id, s.receipt_no, CAST(s.id AS text)
       FROM json_array_elements(:numbers::json) AS j(x)
       JOIN sales AS s ON s.tenant_id = :tenant_id AND s.terminal_id = j.x ->> 0
       AND s.receipt_no = (j.x ->> 1)::bigint AND NOT s.deleted""",
)
_STORE = Statement(
    """INSERT INTO reconciled (tenant_id, seq, at) VALUES (:tenant_id, :seq, :at)
       ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, at = excluded.at"""
)


class SaleSeen(NamedTuple):
    """A sale that was made or changed."""

    seq: int
    record_id: str
    terminal_id: str
    receipt_no: int
    business_day: str


class ClosureSeen(NamedTuple):
    """A closing that was made or changed."""

    seq: int
    record_id: str


class Numbered(NamedTuple):
    """A closing of a series."""

    record_id: str
    first: int
    last: int
    status: str


class Page(NamedTuple):
    """What is new of a tenant, up to a place in its sequence."""

    sales: list[SaleSeen]
    closures: list[ClosureSeen]
    upto: int


async def read_page(tx: Tx, tenant_id: str, after: int, head: int) -> Page:
    """The next page of news, shop by shop as pulls read them, cut where all of them are known."""
    sales = [[SaleSeen(*row) for row in rows] for rows in await _news(tx, _SALES, "sales", tenant_id, after)]
    closures = [
        [ClosureSeen(*row) for row in rows] for rows in await _news(tx, _CLOSURES, "closures", tenant_id, after)
    ]
    lasts = [rows[-1].seq for rows in sales if len(rows) == PAGE]
    lasts += [rows[-1].seq for rows in closures if len(rows) == PAGE]
    upto = min([head, *lasts])
    return Page(
        [one for rows in sales for one in rows if one.seq <= upto],
        [one for rows in closures for one in rows if one.seq <= upto],
        upto,
    )


async def _news(tx: Tx, statement: Statement, collection: str, tenant_id: str, after: int) -> list[Sequence[Row]]:
    audiences = await tx.fetch(_AUDIENCES, {"tenant_id": tenant_id, "collection": collection})
    named = {"tenant_id": tenant_id, "after": after}
    return [await tx.fetch(statement, {**named, "audience": audience}) for (audience,) in audiences]


async def last_closed(tx: Tx, tenant_id: str, terminal_id: str) -> int:
    """The last number of a terminal's newest closings; 0 where it closed nothing."""
    rows = await tx.fetch(_LAST_CLOSED, {"tenant_id": tenant_id, "terminal_id": terminal_id})
    return int(rows[0][0] or 0)


async def closings_around(
    tx: Tx, tenant_id: str, terminal_id: str, number: int
) -> tuple[list[Numbered], list[Numbered]]:
    """Closings that begin at or before a number, the nearest first, and those that begin after it."""
    named = {"tenant_id": tenant_id, "terminal_id": terminal_id, "number": number}
    before, after = await tx.fetch(_BEFORE, named), await tx.fetch(_AFTER, named)
    return [Numbered(*row) for row in before], [Numbered(*row) for row in after]


def ending_a_gap(after: Sequence[Numbered]) -> set[str]:
    """Of closings that begin after a number, those whose gap it may lie in: the next that stand.

    One that was voided ends no gap, and hides none.
    """
    begins = next((one.first for one in after if one.status != "voided"), None)
    return {one.record_id for one in after if one.first == begins and one.status != "voided"}


async def closings_of_day(tx: Tx, tenant_id: str, terminal_id: str, day: str) -> list[str]:
    """Closings without a series of a terminal's day."""
    rows = await tx.fetch(_OF_DAY, {"tenant_id": tenant_id, "terminal_id": terminal_id, "day": day})
    return [str(record_id) for (record_id,) in rows]


async def arrived_in(tx: Tx, tenant_id: str, terminal_id: str, first: int, last: int) -> list[Arrived]:
    """Sales of a series."""
    named = {"tenant_id": tenant_id, "terminal_id": terminal_id, "first": first, "last": last}
    return [_arrived(*row) for row in await tx.fetch(_IN_RANGE, named)]


async def arrived_unnumbered(tx: Tx, tenant_id: str, terminal_id: str, day: str) -> list[Arrived]:
    """A day's sales without a number."""
    named = {"tenant_id": tenant_id, "terminal_id": terminal_id, "day": day}
    return [_arrived(*row) for row in await tx.fetch(_UNNUMBERED, named)]


async def numbers_in(tx: Tx, tenant_id: str, terminal_id: str, first: int, last: int) -> frozenset[int]:
    """Which numbers of a series arrived."""
    named = {"tenant_id": tenant_id, "terminal_id": terminal_id, "first": first, "last": last}
    return frozenset(number for (number,) in await tx.fetch(_NUMBERS, named))


async def same_number(tx: Tx, tenant_id: str, numbers: Iterable[tuple[str, int]]) -> dict[tuple[str, int], list[str]]:
    """Sales by (terminal, number), where one number has several."""
    asked = to_json(sorted(set(numbers))).decode()
    found: dict[tuple[str, int], list[str]] = {}
    for terminal_id, number, record_id in await tx.fetch(_SAME_NUMBER, {"tenant_id": tenant_id, "numbers": asked}):
        found.setdefault((terminal_id, number), []).append(record_id)
    return {key: sorted(ids) for key, ids in found.items() if len(ids) > 1}


async def store_upto(tx: Tx, tenant_id: str, seq: int, at: str) -> None:
    """Remember how far all was compared."""
    await tx.execute(_STORE, {"tenant_id": tenant_id, "seq": seq, "at": at})


def _arrived(receipt_no: int, business_day: str, status: str, method: str, vat: str) -> Arrived:
    return Arrived(receipt_no, business_day, status == "voided", method, json.loads(vat))
