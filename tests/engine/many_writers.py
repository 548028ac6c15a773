"""Sixteen writers in eight processes on one PostgreSQL database, that hold their transactions open for a while.

`python -m tests.engine.many_writers careful|naive URL TENANT_ID SEED` forks the processes and ends when all have; each
writer then tells on standard output, a line a record, what it committed. The careful ones write through the engine. The
naive ones show what that is worth: their sequence numbers come from a SEQUENCE, outside any lock, so a later number may
be committed first, and who reads `seq > cursor` in between passes the earlier one by.
"""

import json
import multiprocessing
import os
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import asyncpg

from server.ports import Cause
from server.storage.postgres import connect_arguments
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.support.shop import TIMESTAMP, Shop, open_shop, product_fields, sale_fields

PROCESSES, WRITERS, TRANSACTIONS = 8, 2, 6
LONGEST_S = 0.025
SHOPS = ("centro", "porto")
NAIVE_TABLES = "CREATE SEQUENCE naive_seq; CREATE TABLE naive (seq bigint PRIMARY KEY, id text NOT NULL)"

_HOLD = Statement("SELECT pg_sleep(:seconds)")

Write = Callable[[str, str, int], Awaitable[list[dict[str, Any]]]]


class _Careful:
    """One writer that writes through the engine: sales of both shops, products, and changes to its own products."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop, self._author, self._random = shop, f"system:writer-{seed}", random.Random(seed)
        self.written: dict[str, dict[str, Any]] = {}

    async def transaction(self) -> None:
        """Write some records, then hold on to their places in the sequence before the commit."""
        mutations = [self._new() for _ in range(self._random.randint(1, 3))] + self._changes()
        seconds = self._random.uniform(0, LONGEST_S)

        async def job(writing: Writing) -> list[int | None]:
            cause = Cause("many-writers")
            outcomes = await self._shop.applier.apply(writing, self._shop.tenant_id, self._author, mutations, cause)
            await writing.tx.fetch(_HOLD, (seconds,))
            return [outcome.record.version if outcome.record is not None else None for outcome in outcomes]

        versions = await self._shop.writer.submit(Job([self._shop.tenant_id], job))
        for mutation, version in zip(mutations, versions, strict=True):
            known = {"collection": mutation["collection"], "record_id": mutation["record_id"], "version": version}
            self.written.setdefault(mutation["record_id"], {"shop": mutation["fields"].get("shop")}).update(known)

    def _new(self) -> Any:
        if self._random.random() < 0.5:
            return self._mutation("products", self._shop.new_id(), "create", product_fields())
        fields = sale_fields(shop=self._random.choice(SHOPS))
        return self._mutation("sales", self._shop.new_id(), "create", fields)

    def _changes(self) -> list[Any]:
        products = [one for one in self.written.values() if one["collection"] == "products"]
        return [
            self._mutation("products", one["record_id"], "update", {"category": str(one["version"])})
            | {"base_version": one["version"]}
            for one in products[:1]
        ]

    def _mutation(self, collection: str, record_id: str, op: str, fields: dict[str, Any]) -> Any:
        uid = self._shop.new_id()
        known = {"mutation_id": 1, "uid": uid, "timestamp": TIMESTAMP, "base_version": 0}
        return known | {"collection": collection, "record_id": record_id, "op": op, "fields": fields}


async def write_carefully(url: str, tenant_id: str, seed: int) -> list[dict[str, Any]]:
    """Everything one careful writer committed: collection, record, version, and the shop of a sale."""
    async with open_shop(url, seed) as shop:
        shop.tenant_id = tenant_id
        writer = _Careful(shop, seed)
        for _ in range(TRANSACTIONS):
            await writer.transaction()
    return list(writer.written.values())


async def write_naively(url: str, _tenant_id: str, seed: int) -> list[dict[str, Any]]:
    """Everything one naive writer committed."""
    source, written = random.Random(seed), [f"{seed}-{number}" for number in range(TRANSACTIONS)]
    connection = await asyncpg.connect(**connect_arguments(url))
    for name in written:
        async with connection.transaction():
            await connection.execute("INSERT INTO naive (seq, id) VALUES (nextval('naive_seq'), $1)", name)
            await connection.execute("SELECT pg_sleep($1)", source.uniform(0, LONGEST_S))
    await connection.close()
    return [{"id": name} for name in written]


def _process(write: Write, url: str, tenant_id: str, seeds: range) -> None:
    async def one(seed: int) -> None:
        for record in await write(url, tenant_id, seed):
            os.write(1, json.dumps(record).encode() + b"\n")  # in one go: others write there too

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for seed in seeds:
                tasks.start_soon(one, seed)

    anyio.run(all_of_them, backend_options={"use_uvloop": True})


def main() -> None:
    """Fork before any thread or loop is there, and wait."""
    mode, url, tenant_id, seed = sys.argv[1:]
    write = {"careful": write_carefully, "naive": write_naively}[mode]
    forked = multiprocessing.get_context("fork")
    first = int(seed)
    processes = [
        forked.Process(target=_process, args=(write, url, tenant_id, range(begin, begin + WRITERS)))
        for begin in range(first, first + PROCESSES * WRITERS, WRITERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in processes))


if __name__ == "__main__":
    main()
