"""Many callers in one process, who all want to pass the same gate at once and go on wanting it for a while.

The life of such a process, run by `tests.outbox.runner`; its exit status says how many got through:

    {"url": "…", "callers": 100, "now_ms": 1764…, "wanted": ["tenant", "endpoint"], "status": 503}

Time stands at `now_ms`, so that the whole of it is one moment of a half-open breaker. Who got through is settled with
`status`, after all have given up.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio

from server.collections import registry, routes
from server.engine.apply import Applier
from server.engine.records import Records
from server.ids import uuid7
from server.outbox.claim import Claimed, Lease, Wanted, claim
from server.outbox.collect import Forwarder
from server.outbox.relay import Relay
from server.ports import Answer
from server.storage.open import open_database
from server.storage.writer import Job, Writer
from tests.outbox.outlet import OpenSecrets, Scripted

PRESSING_S = 0.25
LEASE = Lease("caller", 30_000)


async def press(life: Mapping[str, Any]) -> int:
    """How many calls the gate let through."""
    database = open_database(life["url"])
    writer = Writer(database, clock=lambda: life["now_ms"], nonce=lambda: uuid7().replace("-", ""))
    passed: list[Claimed] = []

    async def caller() -> None:
        tenant_id, endpoint_id = life["wanted"]
        wanted = [Wanted(tenant_id, endpoint_id, 8)]
        until = time.monotonic() + PRESSING_S
        while time.monotonic() < until:
            passed.extend((await writer.submit(Job([], partial(claim, wanted, LEASE)))).deliveries)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        async with anyio.create_task_group() as pressing:
            for _ in range(life["callers"]):
                pressing.start_soon(caller)
        await anyio.sleep(PRESSING_S)  # the others press on a little
        for claimed in passed:
            await _relay(life, writer)._deliverer.deliver(claimed)
        tasks.cancel_scope.cancel()
    await database.close()
    return len(passed)


def _relay(life: Mapping[str, Any], writer: Writer) -> Relay:
    return Relay(
        database=open_database(life["url"]),
        writer=writer,
        routes=routes(),
        providers=[Scripted(lambda _call: Answer(life["status"]))],
        secrets=OpenSecrets(),
        applying=Applier(Records(registry()), Forwarder(routes())),
        owner="caller",
        clock=lambda: life["now_ms"],
        random=lambda: 0.5,
    )
