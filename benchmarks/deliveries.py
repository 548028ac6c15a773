"""Deliveries a second to a provider next door, beside a bare loop of httpx that posts the same bodies in the same run.

The relay is the real one, in this process: it claims, signs, posts, settles and writes back, with a durable commit for
each claim and each settle. Bare, the frozen bodies are posted by as many tasks as the relay has calls under way.
Beside that, what a claim costs where a hundred deliveries wait and where ten thousand do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.figures import Figure, Results, measured
from benchmarks.postgres import Server
from benchmarks.records import chunks
from server.app import Core, open_core
from server.app.core import now_ms
from server.app.outside import open_outside
from server.ids import uuid7
from server.outbox.claim import Lease, Wanted, claim
from server.outbox.relay import Relay, RelayOptions
from server.ports import Cause
from server.providers.http.provider import HttpSettings
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.protocol import Mutation
from tests.support.processes import server_process
from tests.support.shop import sale_fields

PARALLEL = (1, 4, 16)
CLAIMS = 30
WAITING = (100, 10_000)
_SECRET = "whsec_c2VjcmV0LW9mLXRoZS1iZW5jaG1hcmstMDAwMQ=="  # noqa: S105  # nobody's
_AT_ONCE = 500
_PAYLOADS = Statement("SELECT payload FROM outbox WHERE tenant_id = :tenant_id ORDER BY delivery_id")


@asynccontextmanager
async def _shop(folder: Path, postgres: Server | None, url: str, sales: int) -> AsyncIterator[tuple[Core, Wanted]]:
    """A merchant whose sales wait to go to `url`."""
    with TemporaryDirectory(prefix="deliveries-", dir=folder) as kept:
        address = None if postgres is None else postgres.url(await postgres.new_database())
        known = {"data": Path(kept), "database_url": address, "allow_loopback": True}
        async with open_core(Settings.model_validate(known)) as core:
            tenant_id = await core.admin.add_tenant("Bench")
            endpoint = await core.endpoints.add(tenant_id, "http", "sink", {"url": url, "secret": _SECRET})
            for numbers in chunks(range(1, sales + 1), _AT_ONCE):
                await core.writer.submit(Job([tenant_id], partial(_sell, core, tenant_id, numbers)))
            yield core, Wanted(tenant_id, endpoint.endpoint_id, 1, HttpSettings)


async def _sell(core: Core, tenant_id: str, numbers: Sequence[int], writing: Writing) -> None:
    made = [
        Mutation(
            mutation_id=0,
            uid=uuid7(),
            op="create",
            collection="sales",
            record_id=uuid7(),
            timestamp=writing.now,
            fields=sale_fields(number, shop="centro"),
        )
        for number in numbers
    ]
    outcomes = await core.applier.apply(writing, tenant_id, "system:bench", made, Cause("bench"))
    assert {outcome.status for outcome in outcomes} == {"applied"}


async def delivered(folder: Path, url: str, parallel: int, count: int, postgres: Server | None) -> Figure:
    """All of them, by the relay."""
    async with _shop(folder, postgres, url, count) as (core, wanted):
        settings = Settings(data=folder, allow_loopback=True)
        async with open_outside(core, settings) as outbound:
            relay = Relay(
                database=core.database,
                writer=core.writer,
                routes=core.kinds.routes,
                providers=core.kinds.adapters(outbound, now_ms),
                secrets=core.credentials.secrets,
                applying=core.applier,
                owner=uuid7(),
                clock=now_ms,
                random=lambda: 0.5,
                options=RelayOptions(parallel=parallel, per_endpoint=parallel, watch=False),
            )
            with measured(count, [] if postgres is None else [postgres.pid], own=True) as figure:
                await relay.drain()
        left = await core.database.read(partial(_left, tenant_id=wanted.tenant_id))
        assert left == 0, f"{left} were not delivered"
    return figure


async def posted(url: str, bodies: Sequence[bytes], parallel: int) -> Figure:
    """The same bodies, by httpx alone."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=parallel)) as http:

        async def post(number: int) -> None:
            for body in bodies[number::parallel]:
                (await http.post(url, content=body, headers={"Content-Type": "application/json"})).raise_for_status()

        with measured(len(bodies), own=True) as figure:
            await asyncio.gather(*(post(number) for number in range(parallel)))
    return figure


async def claimed(folder: Path, url: str, waiting: int, postgres: Server | None) -> Figure:
    """One delivery at a time, where so many wait."""
    latencies: list[float] = []
    async with _shop(folder, postgres, url, waiting) as (core, wanted):
        with measured(CLAIMS, own=True) as figure:
            for _ in range(CLAIMS):
                began = time.perf_counter()
                taken = await core.writer.submit(Job([], partial(claim, [wanted], Lease("bench", 60_000))))
                latencies.append(time.perf_counter() - began)
                assert len(taken.deliveries) == 1
    figure.latencies = latencies
    return figure


async def _left(tx: Tx, tenant_id: str) -> int:
    unsettled = Statement("SELECT count(*) FROM outbox WHERE tenant_id = :tenant_id AND state <> 'delivered'")
    return int((await tx.fetch(unsettled, (tenant_id,)))[0][0])


async def _bodies(folder: Path, url: str, count: int) -> list[bytes]:
    async with _shop(folder, None, url, count) as (core, wanted):

        async def work(tx: Tx) -> list[bytes]:
            return [row[0].encode() for row in await tx.fetch(_PAYLOADS, (wanted.tenant_id,))]

        return await core.database.read(work)


async def measure(folder: Path, count: int, results: Results, postgres: Server) -> None:
    """One repetition on both databases."""
    async with server_process(["-m", "benchmarks.sink", "{port}"], folder / "sink.log") as sink:
        url = f"{sink.url}/in"
        bodies = await _bodies(folder, url, count)
        for parallel in PARALLEL:
            results.add(f"bare httpx, {parallel} at once", await posted(url, bodies, parallel))
            for name, server in (("sqlite", None), ("postgres", postgres)):
                results.add(
                    f"rientro, {name}: deliveries, {parallel} at once",
                    await delivered(folder, url, parallel, count, server),
                )
        for name, server in (("sqlite", None), ("postgres", postgres)):
            for waiting in WAITING:
                results.add(f"rientro, {name}: claims, {waiting} waiting", await claimed(folder, url, waiting, server))
