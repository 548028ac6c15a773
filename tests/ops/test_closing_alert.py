"""The alert of a closing that does not add up: told once, after a while, and over when it does."""

from pathlib import Path

from server.ops.alarms import Alarms
from server.ops.alerts.loop import Alerting
from server.ops.exposition import expose
from server.ops.figures import Watch
from server.outbound import open_outbound
from tests.ops.owner import SECRET, open_owner
from tests.reconcile.desk import open_desk

MINUTE_MS = 60_000


async def test_a_closing_that_does_not_add_up_is_told_after_a_while_and_is_over_by_itself(database_url: str) -> None:
    """A till's queue may still be on its way; then once, with a number and no more."""
    async with open_desk(database_url) as desk, open_owner() as owner, open_outbound(allow_loopback=True) as outbound:
        clock = desk.shop.clock
        alerting = Alerting(
            watch=Watch(desk.shop.database, clock, Path()),
            writer=desk.shop.writer,
            alarms=Alarms(),
            outbound=outbound,
            url=owner.url,
            secret=SECRET,
            failing_after_ms=15 * MINUTE_MS,
        )
        await desk.sell(1)
        await desk.close(1, 2, 3)
        await desk.reconciler.once()
        assert await alerting.once() == 0
        clock.ms += 11 * MINUTE_MS
        assert await alerting.once() == 1
        assert await alerting.once() == 0
        (alert,) = owner.alerts
        assert (alert["kind"], alert["value"], alert["tenant_id"]) == ("closing", 1, desk.shop.tenant_id)
        assert "rientro_reconciliations_open 1.0" in expose(await alerting.watch.figures(), 1000).decode()
        await desk.sell(2, 3)
        await desk.reconciler.once()
        clock.ms += 2 * 24 * 60 * MINUTE_MS
        assert await alerting.once() == 0
        assert "rientro_reconciliations_open 0.0" in expose(await alerting.watch.figures(), 1000).decode()
