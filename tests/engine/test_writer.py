"""The writer: whom a commit tells, and what."""

import json

import anyio
import pytest

from server.storage.open import open_database
from server.storage.writer import Job, Writing
from tests.support.shop import Shop


async def _write(shop: Shop, *, forwards: bool = False, revision: int = 0) -> None:
    async def job(writing: Writing) -> None:
        tenant = writing.tenant(shop.tenant_id)
        tenant.next_seq()
        tenant.forwards, tenant.revision = forwards, tenant.revision + revision

    await shop.writer.submit(Job([shop.tenant_id], job))


async def test_who_forwards_is_told_only_of_commits_that_leave_something_to_do(shop: Shop) -> None:
    """Others hear of each."""
    heard: list[str] = []
    shop.writer.committed.append(lambda _tenant_id: heard.append("committed"))
    shop.writer.forwarding.append(lambda _tenant_id: heard.append("forwarding"))
    await _write(shop)
    assert heard == ["committed"]
    await _write(shop, forwards=True)
    await _write(shop, revision=1)
    assert heard[1:] == ["committed", "forwarding"] * 2


@pytest.mark.parametrize("ours", [True, False])
async def test_a_database_tells_of_the_commits_of_others(shop: Shop, database_url: str, ours: bool) -> None:  # noqa: FBT001
    """Not of its own: whoever cares for those hears of them from the writer."""
    watching = shop.database if ours else open_database(database_url)
    listens, heard = anyio.Event(), list[str | None]()
    told = anyio.Event()

    def changed(tenant_id: str | None) -> None:
        heard.append(tenant_id)
        (told if listens.is_set() else listens).set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching.watch, changed)
        if shop.database.dialect == "postgresql":
            await listens.wait()  # it tells of everything once, when it begins
        else:
            await anyio.sleep(0.1)
            listens.set()
        await _write(shop)
        with anyio.move_on_after(0.5 if ours else 20):
            await told.wait()
        tasks.cancel_scope.cancel()
    if not ours:
        await watching.close()
    assert told.is_set() is not ours, json.dumps(heard)
