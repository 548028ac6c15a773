"""The audit: added to, never changed, and nothing younger than a year taken away."""

import time

import pytest

from server.audit import Actor, Entry, coarse, note
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.auth.desk import Desk


async def run(desk: Desk, text: str) -> None:
    """A statement of somebody who wants to tidy up."""

    async def job(writing: Writing) -> None:
        await writing.tx.execute(Statement(text), {"tenant_id": desk.shop.tenant_id})

    await desk.shop.writer.submit(Job([], job))


async def test_nothing_in_it_is_changed_or_taken_away(desk: Desk) -> None:
    """The database itself refuses, also a statement of ours; what is older than a year may go."""
    desk.shop.clock.ms = time.time_ns() // 1_000_000  # the database judges by its own clock

    async def job(writing: Writing) -> None:
        await note(writing, desk.shop.tenant_id, Entry("key.add", Actor("operator"), "key", "k"))

    await desk.shop.writer.submit(Job([desk.shop.tenant_id], job))
    for statement in (
        "UPDATE audit SET action = 'nothing' WHERE tenant_id = :tenant_id",
        "DELETE FROM audit WHERE tenant_id = :tenant_id",
    ):
        old = len(await desk.audit())
        with pytest.raises(DatabaseError):
            await run(desk, statement)
        assert len(await desk.audit()) == old


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("testclient", None), (None, None)],
)
def test_where_somebody_came_from_is_kept_coarsely(address: str | None, network: str | None) -> None:
    """A network, never an address."""
    assert coarse(address) == network
