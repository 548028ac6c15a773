"""`rientro closures`, in real processes: what does not add up, and what is missing."""

import json
from functools import partial
from pathlib import Path

import pytest

from server.app import open_core
from server.ids import uuid7
from server.ports import Cause
from server.reconcile.listing import UnknownReconciliationError, list_reconciliations, show_reconciliation
from server.reconcile.settle import Settling
from server.reconcile.worker import Reconciler
from server.settings import Settings
from server.storage.writer import Job, Writing
from tests.cli.commands import rientro
from tests.reconcile.desk import closing, open_desk, sold
from tests.support.shop import TIMESTAMP


async def closed(data: Path) -> str:
    """A tenant whose till closed three sales of which one arrived; its id."""
    async with open_core(Settings(data=data)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        wanted = [("sales", sold(1)), ("closures", closing([sold(number) for number in (1, 2, 3)]))]
        mutations = [
            {
                "mutation_id": 1,
                "uid": uuid7(),
                "collection": collection,
                "record_id": uuid7(),
                "op": "create",
                "timestamp": TIMESTAMP,
                "fields": {"shop": "centro", **fields},
            }
            for collection, fields in wanted
        ]

        async def job(writing: Writing) -> None:
            outcomes = await core.applier.apply(writing, tenant_id, "system:test", mutations, Cause("test"))  # type: ignore[arg-type]  # as the wire has them
            assert [one.status for one in outcomes] == ["applied", "applied"]

        await core.writer.submit(Job([tenant_id], job))
        await Reconciler(core.database, core.writer, Settling(core.records, core.applier)).once()
    return tenant_id


async def test_what_is_missing_is_listed_and_shown(tmp_path: Path) -> None:
    """As JSON, from another process."""
    tenant_id = await closed(tmp_path)
    listed = rientro(tmp_path, "closures", "list", "--tenant", tenant_id, "--json")
    (line,) = json.loads(listed.stdout)
    assert (line["terminal_id"], line["missing"], line["expected_count"], line["arrived_count"]) == ("T1", "2-3", 3, 1)
    shown = rientro(tmp_path, "closures", "show", line["id"], "--tenant", tenant_id, "--json")
    told = json.loads(shown.stdout)
    assert (told["missing"], told["closing"]["total"]) == ([{"first": 2, "last": 3}], "3.60")


async def test_what_is_listed_is_open_unless_all_is_asked_for(sqlite_url: str) -> None:
    """And what is not here is said to be unknown."""
    async with open_desk(sqlite_url) as desk:
        shop = desk.shop
        await desk.sell(1)
        await desk.close(1)
        await desk.reconciler.once()
        listed = partial(list_reconciliations, shop.database, shop.records, shop.tenant_id, limit=10)
        assert await listed(every=False) == []
        (line,) = await listed(every=True)
        assert (line.status, line.missing) == ("closed", "")
        with pytest.raises(UnknownReconciliationError):
            await show_reconciliation(shop.database, shop.records, shop.tenant_id, shop.tenant_id)
