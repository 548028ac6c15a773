"""Cursors never skip: sixteen writers in eight processes hold their transactions open while readers pull and pull."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import asyncpg
import pytest

from server.storage.postgres import connect_arguments
from tests.engine.many_writers import NAIVE_TABLES, PROCESSES, SHOPS, TRANSACTIONS, WRITERS
from tests.support.processes import dying_with_parent
from tests.support.shop import Shop, Till, open_shop

pytestmark = pytest.mark.postgres
COLLECTIONS = ("sales", "products")
IN_TIME_S = 60


class Writers:
    """The writing processes; `written` is what they committed, once they have ended."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.written: list[dict[str, Any]] = []

    async def ended(self) -> None:
        """Wait for the last of them."""
        output, _ = await anyio.to_thread.run_sync(self._process.communicate)
        assert self._process.returncode == 0
        self.written = [json.loads(line) for line in output.splitlines()]


@asynccontextmanager
async def _writers(mode: str, url: str, tenant_id: str) -> AsyncIterator[Writers]:
    command = [sys.executable, "-m", "tests.engine.many_writers", mode, url, tenant_id, "1000"]
    process = subprocess.Popen(  # noqa: ASYNC220  milliseconds
        command,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
    )
    try:
        yield Writers(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _read_while_written(writers: Writers, readers: list[Callable[[], Awaitable[object]]]) -> None:
    """Every reader reads without a pause until all is written, and then once more."""

    async def read(reader: Callable[[], Awaitable[object]]) -> None:
        while not over.is_set():
            await reader()
        await reader()

    over = anyio.Event()
    with anyio.fail_after(IN_TIME_S):
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(read, reader)
            await writers.ended()
            over.set()


class _Reader:
    """Somebody who pulls pages of every size; `rounds` counts those that brought something.

    A reset would bring all that was missed, and so hide it: none may come.
    """

    def __init__(self, till: Till, shops: tuple[str, ...], seed: int) -> None:
        self.till, self.shops, self.rounds, self.resets = till, shops, 0, 0
        self.has: dict[str, int] = {}
        self._random = random.Random(seed)

    async def __call__(self) -> None:
        more, before = True, len(self.has)
        while more:
            limit = self._random.randint(1, 20)
            answer = await self.till.send(collections=COLLECTIONS, cursor=self.till.cursor, limit=limit)
            self.till.cursor, more = answer["cursor"], answer["more"]
            self.has |= {change["record_id"]: change["version"] for change in answer["changes"]}
            self.resets += answer["reset"]
        self.rounds += len(self.has) > before

    def should_have(self, written: list[dict[str, Any]]) -> dict[str, int]:
        mine = (one for one in written if one["shop"] is None or one["shop"] in self.shops)
        return {one["record_id"]: one["version"] for one in mine}


def _readers(shop: Shop) -> list[_Reader]:
    owner = _Reader(shop.device("owner", "centro", shops=SHOPS), SHOPS, 1)
    return [owner, *(_Reader(shop.device("clerk", name), (name,), seed) for seed, name in enumerate(SHOPS, 2))]


async def test_no_reader_misses_a_record(postgres_url: str) -> None:
    """Who reads while sixteen write ends with every record of its buckets, in its last version, and no other."""
    async with open_shop(postgres_url) as shop:
        readers = _readers(shop)
        async with _writers("careful", postgres_url, shop.tenant_id) as writers:
            await _read_while_written(writers, list(readers))
    assert len(writers.written) >= PROCESSES * WRITERS * TRANSACTIONS
    for reader in readers:
        assert (reader.has, reader.resets) == (reader.should_have(writers.written), 0)
        assert reader.rounds > TRANSACTIONS, "it read before and after, not while they wrote"


async def test_the_same_with_a_sequence_outside_the_lock_loses_records(postgres_url: str) -> None:
    """What the test above would say of a naive cursor: so it can fail."""
    connection = await asyncpg.connect(**connect_arguments(postgres_url))
    await connection.execute(NAIVE_TABLES)
    cursor, seen = 0, set[str]()

    async def read() -> None:
        nonlocal cursor
        for seq, name in await connection.fetch("SELECT seq, id FROM naive WHERE seq > $1 ORDER BY seq", cursor):
            cursor = seq
            seen.add(name)

    async with _writers("naive", postgres_url, "") as writers:
        await _read_while_written(writers, [read])
    await connection.close()
    written = {one["id"] for one in writers.written}
    assert len(written) == PROCESSES * WRITERS * TRANSACTIONS
    assert seen < written
