"""Copies elsewhere: what a provider told that brought a sale of theirs, and what a device has in its own database."""

import sqlite3
from pathlib import Path

import pytest

from server.app import create_app
from server.inbox.admin import Filter, InboxError, list_events, replay, replay_one
from server.settings import Settings
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.client import Options, SyncClient
from tests.client.samples import COLLECTIONS
from tests.privacy.file import PERSON, File, tell
from tests.support.serving import served

_BROUGHT = Statement(
    """UPDATE inbox SET state = :state, records = :records, next_attempt_at = received_at
       WHERE tenant_id = :tenant_id"""
)


async def _ended(file: File, state: str) -> None:
    """The event's end, as the processor writes it: it brought the sale that names them."""

    async def job(writing: Writing) -> None:
        records = f'[{{"collection": "sales", "record_id": "{file.sale}"}}]'
        await writing.tx.execute(_BROUGHT, {"tenant_id": file.tenant_id, "state": state, "records": records})

    await file.core.writer.submit(Job([file.tenant_id], job))


async def test_what_a_provider_told_goes_once_it_has_ended(file: File) -> None:
    """A dead one waits for a person, and its body with it."""
    told = {"type": "sale.created", "timestamp": "2025-11-24T10:00:00.000Z", "data": {"id": "r-1", "buyer": PERSON}}
    await tell(file, told)
    await _ended(file, "dead")
    done = await file.erase()
    assert (done["goes"]["events"], await file.holding(PERSON)) == (1, {"inbox"})
    await _ended(file, "done")
    await file.core.eraser.go_on(file.tenant_id)
    assert await file.holding(PERSON) == set()
    (event,) = await list_events(file.core.database, file.tenant_id, Filter())
    with pytest.raises(InboxError, match="this event was erased"):
        await replay_one(file.core.writer, file.tenant_id, event.receipt_id)
    await replay(file.core.writer, file.tenant_id, Filter(states=["done"]))
    (left,) = await list_events(file.core.database, file.tenant_id, Filter())
    assert left.state == "done"


async def test_a_device_forgets_what_it_said(file: File, settings: Settings, tmp_path: Path) -> None:
    """After its next pull no page of its own database holds it, neither base nor journal."""
    local = tmp_path / "device.db"
    async with served(create_app(settings, migrate=False)) as url:
        options = Options(collections=COLLECTIONS, interval_s=60)
        client = SyncClient(local, url, file.token, options)
        made = client.create("customers", {"name": f"{PERSON}-DEVICE", "email": f"{PERSON}@example.org"})
        await client.drain()
        file.customer = made.record_id
        assert PERSON in _dump(local)
        await file.erase()
        late = client.update("customers", made.record_id, {"note": f"{PERSON}-LATE"})
        await client.drain()
        assert late.record_id not in client.records("customers")
        await client.aclose()
    assert f"{PERSON}-DEVICE" not in _dump(local)
    assert f"{PERSON}-LATE" not in _dump(local)


def _dump(database: Path) -> str:
    connection = sqlite3.connect(database)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()
