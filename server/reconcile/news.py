"""What a page of news makes necessary: which closings to compare again, and which numbers were used twice.

A sale above the last closing of its till, the usual one, needs nothing but the look whether its number is taken. A late
one concerns the closing that owns its number and the one after it, whose gap it may lie in.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from server.reconcile.rows import (
    Page,
    SaleSeen,
    closings_around,
    closings_of_day,
    ending_a_gap,
    last_closed,
    read_page,
    same_number,
)
from server.storage.database import Tx


class Due(NamedTuple):
    """What to compare, and up to where the tenant's sequence is settled by it."""

    closings: frozenset[str]
    doubles: frozenset[tuple[str, int]]
    upto: int

    @property
    def is_something(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.closings or self.doubles)


async def look(tx: Tx, tenant_id: str, after: int, head: int) -> Due:
    """The next page of a tenant's news, and what follows from it."""
    page = await read_page(tx, tenant_id, after, head)
    closings = {one.record_id for one in page.closures}
    numbered: dict[str, list[int]] = defaultdict(list)
    for sale in page.sales:
        if sale.receipt_no > 0:
            numbered[sale.terminal_id].append(sale.receipt_no)
    for terminal_id, numbers in numbered.items():
        closings |= await _late(tx, tenant_id, terminal_id, numbers)
    closings |= await _days(tx, tenant_id, page.sales)
    return Due(frozenset(closings), await _doubles(tx, tenant_id, page), page.upto)


async def _late(tx: Tx, tenant_id: str, terminal_id: str, numbers: Sequence[int]) -> set[str]:
    """Closings that late numbers concern."""
    closed = await last_closed(tx, tenant_id, terminal_id)
    found: set[str] = set()
    for number in sorted({number for number in numbers if number <= closed}):
        before, after = await closings_around(tx, tenant_id, terminal_id, number)
        found |= {one.record_id for one in before if one.last >= number} | ending_a_gap(after)
    return found


async def _days(tx: Tx, tenant_id: str, sales: Sequence[SaleSeen]) -> set[str]:
    """Closings of the days of sales without a number."""
    days = {(sale.terminal_id, sale.business_day) for sale in sales if sale.receipt_no <= 0}
    return {one for terminal, day in sorted(days) for one in await closings_of_day(tx, tenant_id, terminal, day)}


async def _doubles(tx: Tx, tenant_id: str, page: Page) -> frozenset[tuple[str, int]]:
    numbers = {(sale.terminal_id, sale.receipt_no) for sale in page.sales if sale.receipt_no > 0}
    return frozenset(await same_number(tx, tenant_id, numbers)) if numbers else frozenset()
