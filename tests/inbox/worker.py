"""Real processor processes that start in milliseconds, and are killed by the test.

A parent that has everything imported reads lines of a database's URL, a risk and a seed, forks a processor for each
and prints its pid; its children die with it. The risk is that of dying by one's own SIGKILL around a write: before it
begins, before its commit, and after it: the moments that matter, too short to be hit from outside.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio

from server.collections import registry, routes
from server.engine.apply import Applier
from server.engine.records import Records
from server.ids import uuid7
from server.inbox.processor import Processor, ProcessorOptions
from server.ops.logs import set_up_logs
from server.outbox.collect import Forwarder
from server.ports import Fetched, WebhookEvent
from server.providers.pos.provider import PosProvider
from server.providers.pos.standard import StandardScheme
from server.resilience.backoff import Schedule, Schedules
from server.storage.open import open_database
from server.storage.writer import Writer
from tests.inbox.mailroom import OpenSecrets
from tests.support.deadly import Deadly
from tests.support.processes import dying_with_parent

SOON = Schedule(base_s=0.02, cap_s=0.05, lasts_s=3600)


class SlowScheme(StandardScheme):
    """Takes a moment, so that a death finds events at every step."""

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        await anyio.sleep(random.random() * 0.01)
        return await super().fetch(event)


class SlowPos(PosProvider):
    """A point of sale that takes a moment."""

    def __init__(self) -> None:
        outbound: Any = None
        super().__init__(outbound, lambda: 0)
        self._schemes = {"standard": SlowScheme()}


def now_ms() -> int:
    """The clock on the wall."""
    return time.time_ns() // 1_000_000


async def process(url: str, risk: float, seed: int) -> None:
    """Process until killed."""
    database = Deadly(open_database(url), risk, seed)
    writer = Writer(database, clock=now_ms, nonce=lambda: os.urandom(8).hex())
    records = Records(registry())
    processor = Processor(
        database=database,
        writer=writer,
        registry=records.registry,
        sources=[SlowPos()],
        secrets=OpenSecrets(),
        applying=Applier(records, Forwarder(routes())),
        owner=uuid7(),
        clock=now_ms,
        random=random.random,
        options=ProcessorOptions(
            parallel=4, lease_s=0.5, deadline_s=0.25, most_unended=100, schedules=Schedules(SOON, SOON)
        ),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        tasks.start_soon(processor.run)


def main() -> None:
    """Fork a processor at each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    set_up_logs("ERROR")
    prepare = dying_with_parent(signal.SIGKILL)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            prepare()
            url, risk, seed = line.split()
            asyncio.run(process(url, float(risk), int(seed)))
        print(pid, flush=True)  # noqa: T201


class Nursery:
    """Starts and kills processors."""

    def __init__(self, parent: subprocess.Popen[str]) -> None:
        self._parent = parent
        self.alive: list[int] = []

    def start(self, url: str, risk: float = 0, seed: int = 0) -> None:
        """One more; `risk` is that of dying by itself."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(url, risk, seed, file=self._parent.stdin, flush=True)
        self.alive.append(int(self._parent.stdout.readline()))

    def kill(self) -> None:
        """SIGKILL the oldest."""
        with suppress(ProcessLookupError):
            os.kill(self.alive.pop(0), signal.SIGKILL)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A parent of processors."""
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.inbox.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
    )
    with parent:
        yield Nursery(parent)
        parent.kill()


if __name__ == "__main__":
    main()
