"""The audit: added to, never changed, and nothing younger than a year taken away."""

import pytest

from server.app.core import now_ms
from server.audit import Actor, Entry, add_entry, coarse
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.auth.desk import Desk

_REST = "outcome, reason, actor_kind, actor_id, subject_kind, subject_id, origin, correlation_id, times"
_SILENT = (
    Statement(
        f"""INSERT OR REPLACE INTO audit (tenant_id, entry_id, at, action, {_REST})
            SELECT tenant_id, entry_id, at, 'nothing', {_REST} FROM audit WHERE tenant_id = :tenant_id""",  # noqa: S608
        postgresql="TRUNCATE audit",
    ),
    Statement(
        f"""INSERT OR REPLACE INTO audit (rowid, tenant_id, entry_id, at, action, {_REST})
            SELECT rowid, tenant_id, 'x' || entry_id, at, 'nothing', {_REST} FROM audit
            WHERE tenant_id = :tenant_id""",  # noqa: S608
        postgresql="TRUNCATE audit, people",
    ),
)
"""Ways to lose entries that tell no trigger of a row."""


async def run(desk: Desk, statement: Statement) -> None:
    """A statement of somebody who wants to tidy up."""

    async def job(writing: Writing) -> None:
        await writing.tx.execute(statement, {"tenant_id": desk.shop.tenant_id})

    await desk.shop.writer.submit(Job([], job))


async def test_nothing_in_it_is_changed_or_taken_away(desk: Desk) -> None:
    """The database itself refuses, also a statement of ours; what is older than a year, by its own clock, may go."""

    async def job(writing: Writing) -> None:
        await add_entry(writing.tx, desk.shop.tenant_id, Entry("key.add", Actor("operator"), "key", "k"), now_ms())

    await desk.shop.writer.submit(Job([desk.shop.tenant_id], job))
    for statement in (
        Statement("UPDATE audit SET action = 'nothing' WHERE tenant_id = :tenant_id"),
        Statement("DELETE FROM audit WHERE tenant_id = :tenant_id"),
        *_SILENT,
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
