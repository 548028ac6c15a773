"""A till killed at any moment: what it called stored is there, without a hole, and comes home once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync.client import Options, Store, SyncClient
from tests.client.memory_server import MemoryServer
from tests.client.samples import COLLECTIONS
from tests.support.processes import dying_with_parent
from tests.support.serving import served

ROOT = Path(__file__).parents[2]
LIVES = (7, 40, 90)  # sales after which a life ends


class Sold(NamedTuple):
    """A sale as the till printed it."""

    uid: str
    mutation_id: int
    receipt_no: int


def life(sales: int, *arguments: str) -> list[Sold]:
    """Let a till live until it has printed so many sales, then kill it; what it printed."""
    command = [sys.executable, "-m", "tests.client.selling", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(sales)]
        process.kill()
        lines += process.stdout.readlines()  # what it printed before it heard of its end
    return [Sold(*json.loads(line)) for line in lines if line.endswith("\n")]


@pytest.fixture
async def server() -> AsyncIterator[tuple[MemoryServer, str]]:
    """A server behind a real socket, and its address."""
    memory = MemoryServer(lambda: time.time_ns() // 1_000_000)

    async def sync(request: Request) -> JSONResponse:
        status, document = memory.sync(request.headers, await request.body())
        return JSONResponse(document, status)

    async with served(Starlette(routes=[Route("/v1/sync", sync, methods=["POST"])])) as url:
        yield memory, url


def test_a_till_killed_while_selling_keeps_what_it_stored(tmp_path: Path) -> None:
    """At most one sale more than was printed is there: stored, and killed before it could say so."""
    path = tmp_path / "till.db"
    printed: list[Sold] = []
    for sales in LIVES[:2]:
        printed += life(sales, str(path))
    store = Store(path)
    entries = store.entries()
    store.close()
    numbers = [entry.content["fields"]["receipt_no"] for entry in entries]
    assert set(printed) <= {Sold(e.uid, e.mutation_id, n) for e, n in zip(entries, numbers, strict=True)}
    assert [entry.mutation_id for entry in entries] == numbers == list(range(1, len(entries) + 1))
    assert len(printed) <= len(entries) <= len(printed) + 2


async def test_a_till_killed_while_syncing_brings_everything_home_once(
    server: tuple[MemoryServer, str], tmp_path: Path
) -> None:
    """Killed between request and answer, in the middle of a page, anywhere: each sale is at the server exactly once."""
    memory, url = server
    path = tmp_path / "till.db"
    printed: list[Sold] = []
    for sales in LIVES:
        printed += await anyio.to_thread.run_sync(partial(life, sales, str(path), url))
    async with SyncClient(path, url, "owner:till", Options(collections=COLLECTIONS)) as client:
        await client.drain()
        entries = client.entries()
        seen = {record_id: record.fields for record_id, record in client.records("sales").items()}
    assert memory.view("sales") == seen
    assert sorted(fields["receipt_no"] for fields in seen.values()) == list(range(1, len(entries) + 1))
    assert [entry.mutation_id for entry in entries] == list(range(1, len(entries) + 1))
    assert {sold.uid for sold in printed} <= {entry.uid for entry in entries} == set(memory.verdicts)
    assert {len(verdicts) for verdicts in memory.verdicts.values()} == {1}
    assert {entry.state for entry in entries} == {"settled"}
