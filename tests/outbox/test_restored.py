"""After a real restore: a till sends again what the server forgot, and no effect is had twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from server.ops.backup import backup
from tests.ops.restoring import ignore, put_back
from tests.outbox.bank import Bank, Habits, route
from tests.outbox.outlet import Outlet, open_outlet
from tests.support.shop import START_MS, TIMESTAMP, Clock, sale_fields

LATER = "2025-11-24T17:00:00.000Z"


def charged(shop: Outlet, number: int, timestamp: str = TIMESTAMP) -> dict[str, Any]:
    """A sale as its till keeps it, to be sent as often as it takes."""
    return {
        "uid": shop.new_id(), "op": "create", "collection": "sales", "record_id": shop.new_id(),
        "timestamp": timestamp, "fields": sale_fields(number),
    }  # fmt: skip


@asynccontextmanager
async def again(url: str, before: Outlet) -> AsyncIterator[Outlet]:
    """The same shop on the restored database, some minutes later."""
    clock = Clock()
    clock.ms = START_MS + 60_000
    async with open_outlet(url, seed=2, clock=clock, declared=before.routes) as shop:
        shop.tenant_id, shop.client_id, shop.endpoints = before.tenant_id, before.client_id, before.endpoints
        yield shop


@pytest.mark.parametrize(
    ("habits", "calls", "looks", "states"),
    [
        (Habits("keyed"), 3, 0, {"delivered": 2}),
        (Habits("lookup"), 2, 1, {"delivered": 2}),
        (Habits("once"), 2, 0, {"delivered": 1, "in_doubt": 1}),
    ],
)
async def test_a_forgotten_sale_that_comes_again_is_charged_once(
    database_url: str, tmp_path: Path, habits: Habits, calls: int, looks: int, states: dict[str, int]
) -> None:
    """It is a new row here, but not for the bank; one that was made after the restore leaves nothing to doubt."""
    clock = Clock()
    async with open_outlet(database_url, clock=clock, declared=[route()]) as shop:
        await shop.bind("sales.charge")
        desk = Bank(clock, charge=habits)
        await backup(database_url, shop.writer, tmp_path / "copy", ignore)
        forgotten = charged(shop, 1)
        await shop.push(forgotten)
        await shop.relay(desk).drain()
        assert await shop.states() == {"delivered": 1}
    await put_back(database_url, tmp_path / "copy")
    async with again(database_url, shop) as shop:
        fresh = charged(shop, 2, LATER)
        shop.clock.ms += 3_600_000
        assert await shop.push(forgotten, fresh) == ["applied", "applied"]
        await shop.relay(desk).drain()
        assert [desk.done("charge", one["record_id"]) for one in (forgotten, fresh)] == [1, 1]
        assert (len(desk.calls), len(desk.looks)) == (calls, looks)
        assert await shop.states() == states
