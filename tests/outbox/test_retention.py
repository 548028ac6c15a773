"""Ended deliveries go when they are old enough, with their attempts; what wants a person or holds others stays."""

from server.engine.tidy import Tidier
from server.outbox.admin import cancel
from server.ports import Answer
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.outbox.outlet import Outlet, Scripted

DAY_MS = 86_400_000
_HOLD = Statement("UPDATE outbox SET holds = true WHERE tenant_id = :tenant_id AND record_id = :record_id")


async def _tidy(outlet: Outlet) -> int:
    tidier = Tidier(outlet.database, outlet.writer, outlet.records, outlet.clock, 90 * DAY_MS)
    reach = await tidier.begin(outlet.tenant_id)
    counted = (await tidier.counts(reach))["outbox"]
    assert (await tidier.collect(reach))["outbox"] == counted
    return counted


async def _hold(outlet: Outlet, record_id: str) -> None:
    async def job(writing: Writing) -> None:
        await writing.tx.execute(_HOLD, {"tenant_id": outlet.tenant_id, "record_id": record_id})

    await outlet.writer.submit(Job([outlet.tenant_id], job))


async def test_ended_deliveries_go_after_the_retention_with_their_attempts(outlet: Outlet) -> None:
    """To the millisecond; a delivery that still holds its lane is no leftover, whatever its state."""
    await outlet.bind()
    sold = dict(zip(("delivered", "holds", "dead", "cancelled"), await outlet.sell(4), strict=True))
    (taken_back,) = await outlet.rows(record_id=sold["cancelled"])
    await cancel(outlet.writer, outlet.tenant_id, taken_back.delivery_id)
    refused = {sold["dead"]: 400}
    await outlet.relay(Scripted(lambda call: Answer(refused.get(call.record_id, 200)))).drain()
    await _hold(outlet, sold["holds"])
    await outlet.sell()
    assert await outlet.states() == {"delivered": 2, "dead": 1, "cancelled": 1, "pending": 1}
    outlet.clock.ms += 90 * DAY_MS
    assert await _tidy(outlet) == 0
    outlet.clock.ms += 1
    assert await _tidy(outlet) == 2
    assert await outlet.states() == {"delivered": 1, "dead": 1, "pending": 1}
    kept = {row.delivery_id for row in await outlet.rows()}
    attempts = await outlet.fetch("SELECT DISTINCT delivery_id FROM attempts")
    assert {delivery_id for (delivery_id,) in attempts} < kept
    assert len(attempts) == 2
    assert await _tidy(outlet) == 0
