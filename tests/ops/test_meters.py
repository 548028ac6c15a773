"""The process's own counts: they say what happened, and nothing of whom it concerned."""

from collections.abc import AsyncIterator

import anyio
import pytest

from server import meters
from server.storage.database import DatabaseError
from server.storage.writer import Job, Writing
from tests.outbox.outlet import Outlet, open_outlet


@pytest.fixture
async def outlet(sqlite_url: str) -> AsyncIterator[Outlet]:
    """A shop; what is counted does not depend on the database."""
    async with open_outlet(sqlite_url) as opened:
        yield opened


def _value(name: str, **labels: str) -> float:
    return meters.REGISTRY.get_sample_value(name, labels) or 0


async def test_writes_that_wait_are_counted_and_share_transactions(outlet: Outlet) -> None:
    """Twenty at once: all wait, one transaction takes them, none waits."""
    groups, jobs = _value("rientro_writer_group_jobs_count"), _value("rientro_writer_group_jobs_sum")
    seen: list[float] = []

    async def job(_writing: Writing) -> None:
        seen.append(_value("rientro_writer_waiting_jobs"))

    before = _value("rientro_writer_waiting_jobs")
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(outlet.writer.submit, Job([], job))
        await anyio.lowlevel.checkpoint()
        waiting = _value("rientro_writer_waiting_jobs") - before
    assert (waiting, len(seen), _value("rientro_writer_waiting_jobs")) == (20, 20, before)
    assert _value("rientro_writer_group_jobs_sum") - jobs == 20
    assert _value("rientro_writer_group_jobs_count") - groups == 1


def test_every_refusal_of_the_database_is_counted_by_kind() -> None:
    """Whoever handles it: a key that was taken is no trouble, and told apart."""
    kinds = ("transient", "permanent", "unique")
    before = [_value("rientro_database_errors_total", kind=kind) for kind in kinds]
    DatabaseError("SQLITE_FULL", transient=True)
    DatabaseError("SQLITE_CONSTRAINT")
    DatabaseError("SQLITE_CONSTRAINT_UNIQUE", unique=True)
    after = [_value("rientro_database_errors_total", kind=kind) for kind in kinds]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]
