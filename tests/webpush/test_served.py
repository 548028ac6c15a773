"""The whole of it, served: noted in one life of the server, told in the next."""

from pathlib import Path

import anyio
from pydantic import SecretStr

from server.app import create_app, open_core
from server.audit import OPERATOR
from server.ports import Cause, Principal
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from server.webpush.subscriptions import Wanted
from tests.support.serving import in_process
from tests.support.shop import TIMESTAMP, Ids
from tests.webpush.beach import INVOICE
from tests.webpush.service import PushService

_EARLIER = Statement("UPDATE webpush_notices SET noted_at = :at WHERE tenant_id = :tenant_id")


async def test_what_was_noted_before_a_restart_is_told_after_it(
    sqlite_url: str, tmp_path: Path, service: PushService
) -> None:
    """By the workers as the server runs them; its burst was over long ago."""
    settings = Settings(data=tmp_path, database_url=SecretStr(sqlite_url), allow_loopback=True)
    new_id = Ids(5)
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        device = await core.admin.add_device(tenant_id, "Telefono", "owner", "centro")
        public_key = (await core.webpush.keys.known(tenant_id))[0].public_key
        browser = await service.subscribe(public_key)
        keys = (SecretStr(browser.keys["p256dh"]), SecretStr(browser.keys["auth"]))
        owner = Principal(tenant_id, device.device_id, "owner", "centro", frozenset(("centro",)))
        wanted = Wanted(browser.endpoint, *keys, public_key, "it", None, None)
        await core.webpush.subscriptions.put(owner, wanted, OPERATOR)
        about = {"op": "create", "collection": "invoices", "record_id": new_id(), "base_version": 0}
        mutation = {"mutation_id": 1, "uid": new_id(), "timestamp": TIMESTAMP, "fields": INVOICE, **about}

        async def job(writing: Writing) -> None:
            await core.applier.apply(writing, tenant_id, "provider:x", [mutation], Cause("c"))  # type: ignore[list-item]

        async def earlier(tx: Tx) -> None:
            assert await tx.execute(_EARLIER, {"at": TIMESTAMP, "tenant_id": tenant_id}) == 1

        await core.writer.submit(Job([tenant_id], job))
        await core.database.write(earlier)
    async with in_process(create_app(settings, migrate=False)):
        with anyio.fail_after(30):
            while not (titles := await service.titles(browser)):
                await anyio.sleep(0.02)
    assert titles == ["Nuova fattura: Rossi Srl, 1.234,50 €"]
