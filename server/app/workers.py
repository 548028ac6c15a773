"""What goes on beside the requests: the relay sends, the processor takes in, the polls find what webhooks lost.

Once a day what is older than the retention is tidied away. What a new binding owes of before is sent beside the rest;
now and then what waits for an account that nobody reaches is sent through its fallback. Closings are
compared with the sales that arrived.
"""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio

from server.adapter import Adapter
from server.app.core import Core, now_ms
from server.app.tidying import Tidying
from server.ids import uuid7
from server.inbox.accounts import is_polled
from server.inbox.observe import Observer
from server.inbox.poll import Polling
from server.inbox.processor import Processor, ProcessorOptions
from server.ops.alarms import ALARMS
from server.ops.alerts.loop import Alerting
from server.outbound import Outbound
from server.outbox.backfill import Backfilling
from server.outbox.fallback import Fallback
from server.outbox.relay import Relay, RelayOptions
from server.reconcile.settle import Settling
from server.reconcile.worker import Reconciler
from server.resilience.retry_after import LeftAlone
from server.settings import Settings

_RANDOM = random.SystemRandom().random


class Workers:
    """The workers of a process; they are woken together, and stopped in one go."""

    def __init__(self, core: Core, adapters: Sequence[Adapter], lease_s: float) -> None:
        """Nothing runs yet."""
        left_alone, forms = LeftAlone(), {one.name: one.settings for one in adapters}
        self.processor = Processor(
            database=core.database,
            writer=core.writer,
            registry=core.registry,
            sources=adapters,
            secrets=core.credentials.secrets,
            applying=core.applier,
            owner=uuid7(),
            clock=now_ms,
            random=_RANDOM,
            options=ProcessorOptions(watch=False, lease_s=lease_s, deadline_s=lease_s / 2),
            forms=forms,
            left_alone=left_alone,
            opened=self.wake,
        )
        self.relay = Relay(
            database=core.database,
            writer=core.writer,
            routes=core.kinds.routes,
            providers=adapters,
            secrets=core.credentials.secrets,
            applying=core.applier,
            owner=uuid7(),
            clock=now_ms,
            random=_RANDOM,
            observing=Observer(self.processor.wake),
            polls=partial(is_polled, {source.name: source for source in adapters}),
            options=RelayOptions(watch=False, lease_s=lease_s, deadline_s=lease_s / 2),
            left_alone=left_alone,
            opened=self.wake,
        )
        self.polling = Polling(
            database=core.database,
            writer=core.writer,
            sources=adapters,
            secrets=core.credentials.secrets,
            clock=now_ms,
            random=_RANDOM,
            new_id=uuid7,
            found=self.processor.wake,
            forms=forms,
            left_alone=left_alone,
            opened=self.wake,
        )

        self.backfilling = Backfilling(core.database, core.writer, core.registry, core.kinds.routes)
        self.fallback = Fallback(core.database, core.writer, {route.name: route for route in core.kinds.routes}, now_ms)
        self.notifier = core.webpush.notifier
        self.reconciler = Reconciler(core.database, core.writer, Settling(core.records, core.applier))
        self.tidying = Tidying(core.tidier, core.admin, _RANDOM, finish=core.eraser.go_on)

    def wake(self) -> None:
        """Something was committed, here or elsewhere."""
        self.relay.wake()
        self.processor.wake()
        self.reconciler.wake()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work until the block ends; what is under way then is given a moment to end."""
        async with anyio.create_task_group() as polling:
            polling.start_soon(self.polling.run)
            polling.start_soon(self.tidying.run)
            polling.start_soon(self.backfilling.run)
            polling.start_soon(self.fallback.run)
            polling.start_soon(self.notifier.run)
            polling.start_soon(self.reconciler.run)
            async with anyio.create_task_group() as working:
                working.start_soon(self.relay.run)
                working.start_soon(self.processor.run)
                yield
                self.relay.stop()
                self.processor.stop()
            polling.cancel_scope.cancel()


@asynccontextmanager
async def alerting(core: Core, outbound: Outbound, settings: Settings) -> AsyncIterator[None]:
    """Tell what wants a person: the address in the settings, and devices. Also in a process that has no workers."""
    secret = settings.alert_secret
    loop = Alerting(
        watch=core.watch,
        writer=core.writer,
        alarms=ALARMS,
        outbound=outbound,
        url=settings.alert_url,
        secret="" if secret is None else secret.get_secret_value(),
        failing_after_ms=settings.down_after_ms,
        devices=core.webpush.noticed,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.run)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def watching(core: Core, changed: Callable[[str | None], None]) -> AsyncIterator[None]:
    """Call `changed` when another process wrote."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(core.database.watch, changed)
        yield
        tasks.cancel_scope.cancel()
