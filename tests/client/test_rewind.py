"""A database file copied back under a living server: the server ends the epoch, and the clients bring back the rest."""

import json
from pathlib import Path

from server.app import open_core
from server.auth.admin import NewDevice
from sync.client import Options, SyncClient
from tests.client.samples import sale
from tests.client.test_real_server import settings_in
from tests.support.databases import back_up_file, put_back_file
from tests.support.processes import ServerProcess, server_process

_SERVE = ("-m", "server", "serve", "--port", "{port}")


async def test_a_file_copied_back_under_a_living_server_loses_no_sale(tmp_path: Path) -> None:
    """Its writer notices at the next push, or a reader at the next pull: every sale is there, and once."""
    async with open_core(settings_in(tmp_path)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        devices = [await core.admin.add_device(tenant_id, name, "terminal", "centro") for name in ("Uno", "Due")]
    file, copy = tmp_path / "data" / "rientro.db", tmp_path / "copy.db"
    environment = {"RIENTRO_DATA": str(tmp_path / "data")}
    async with server_process(_SERVE, tmp_path / "log", environment) as server:
        one, two = (_client(tmp_path, server, device) for device in devices)
        async with one, two:
            _sell(one, 5)
            await one.drain()
            await two.drain()
            back_up_file(file, copy)
            _sell(one, 6)
            _sell(two, 3)
            await one.drain()
            await two.drain()
            old = one.store.meta().epoch
            put_back_file(copy, file)
            await two.drain()
            _sell(one, 1)
            for client in (one, two):
                await client.drain()
            epoch = one.store.meta().epoch
            assert epoch == two.store.meta().epoch != old
            assert one.records("sales") == two.records("sales")
            numbers = sorted(record.fields["receipt_no"] for record in one.records("sales").values())
            assert numbers == sorted([*range(1, 13), *range(1, 4)])
            assert {entry.state for client in (one, two) for entry in client.entries()} == {"settled"}
        alarms = [line for line in server.log_text().splitlines() if "history_rewound" in line]
    assert [json.loads(line)["alarm"] for line in alarms] == [True]


def _client(folder: Path, server: ServerProcess, device: NewDevice) -> SyncClient:
    options = Options(collections=("sales",), page=4, batch=2, interval_s=60, backoff_base_s=0.01)
    return SyncClient(folder / f"{device.device_id}.db", server.url, device.token, options)


def _sell(client: SyncClient, count: int) -> None:
    for _ in range(count):
        client.sell(sale())
