"""Real relay processes that die when they are told, for tests.

`python -m tests.outbox.runner` loads everything once, then reads a JSON list of lives a line from its standard input,
runs each as a process of its own, all at once, and answers with the list of their exit statuses. A life ends by SIGKILL
at its `die_at`, or by itself when nothing is left to deliver:

    {"url": "…", "die_at": ["sent", 3], "seed": 7}

`claimed` is before a call goes out, `sent` after its answer came, `settling` inside the settling transaction, `settled`
after a commit; the number says at which one of them. A life with `callers` is one of `tests.outbox.callers`.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import anyio

from server.collections import registry, routes
from server.engine.apply import Applier
from server.engine.records import Records
from server.ids import uuid7
from server.ops.logs import set_up_logs
from server.outbound import open_outbound
from server.outbox.collect import Forwarder
from server.outbox.relay import Relay, RelayOptions
from server.ports import Answer, Applying, Call, Operation
from server.providers.http import HttpProvider
from server.resilience.backoff import Schedule, Schedules
from server.storage.database import Database, Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Writer
from tests.outbox.callers import press
from tests.outbox.outlet import OpenSecrets
from tests.support.processes import dying_with_parent

SCHEDULE = Schedule(base_s=0.05, cap_s=0.3, lasts_s=3600)
OPTIONS = RelayOptions(parallel=8, per_endpoint=4, lease_s=1.5, deadline_s=1, schedules=Schedules(SCHEDULE, SCHEDULE))
_LEFT = Statement("/* across tenants */ SELECT count(*) FROM outbox WHERE state IN ('pending', 'leased')")


class Fate:
    """Ends the process at the n-th time that a step is reached."""

    def __init__(self, step: str, times: int) -> None:
        self._step, self._left = step, times

    def reach(self, step: str) -> None:
        """Die, if it is time."""
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalProvider(HttpProvider):
    """Provider `http` in a process that may die around its calls."""

    fate: Fate

    def operations(self) -> Mapping[str, Operation]:
        return {"post": Operation("keyed", self._mortally)}

    async def _mortally(self, call: Call) -> Answer:
        self.fate.reach("claimed")
        answer = await super().operations()["post"].send(call)
        self.fate.reach("sent")
        return answer


class MortalApplier:
    """The engine in a process that may die in the middle of a transaction."""

    def __init__(self, inner: Applying, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    async def apply(self, *arguments: Any) -> Any:
        outcomes = await self._inner.apply(*arguments)
        self._fate.reach("settling")
        return outcomes


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000


async def live(life: Mapping[str, Any]) -> None:
    """One life."""
    fate = Fate(*life.get("die_at", ("never", 0)))
    database = open_database(life["url"])
    writer = Writer(database, clock=now_ms, nonce=lambda: uuid7().replace("-", ""))
    writer.committed.append(lambda _tenant_id: fate.reach("settled"))
    records = Records(registry())
    async with open_outbound(allow_loopback=True) as outbound, anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        provider = MortalProvider(outbound, now_ms)
        provider.fate = fate
        relay = Relay(
            database=database,
            writer=writer,
            routes=routes(),
            providers=[provider],
            secrets=OpenSecrets(),
            applying=MortalApplier(Applier(records, Forwarder(routes())), fate),
            owner=uuid7(),
            clock=now_ms,
            random=random.Random(life.get("seed", 0)).random,
            options=OPTIONS,
        )
        async with anyio.create_task_group() as relaying:
            relaying.start_soon(relay.run)
            await _until_all_is_done(database)
            relay.stop()
        tasks.cancel_scope.cancel()
    await database.close()


async def _until_all_is_done(database: Database) -> None:
    async def left(tx: Tx) -> int:
        return int((await tx.fetch(_LEFT))[0][0])

    while await database.read(left):
        await anyio.sleep(0.05)


def _start(life: Mapping[str, Any]) -> int:
    mortal = dying_with_parent(signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        mortal()
        os._exit(asyncio.run(press(life) if "callers" in life else live(life)) or 0)
    return pid


def main() -> None:
    """Serve lives until the input ends."""
    set_up_logs()
    for line in sys.stdin:
        pids = [_start(life) for life in json.loads(line)]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(json.dumps(statuses), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
