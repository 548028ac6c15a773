"""Makes a tenant and its devices in the database the environment names, and prints the devices' tokens as JSON.

Run before the server starts, in a process of its own: `python -m benchmarks.setting_up DEVICES [--bound]`. With
`--bound`, changes of sales have an endpoint to go to, so every push also writes deliveries.
"""

import json
import sys

import anyio

from server.app import Core, open_core
from server.ids import uuid7
from server.settings import Settings
from server.storage.statement import Statement
from server.storage.writer import Job, Writing

_ENDPOINT = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, 'http', 'bench', '{}', :sealed, true, :created_at)"""
)
_BINDING = Statement("INSERT INTO bindings (tenant_id, route, endpoint_id) VALUES (:tenant_id, :route, :endpoint_id)")


async def _bind(core: Core, tenant_id: str) -> None:
    """A paused endpoint: deliveries are written and wait."""
    endpoint_id = uuid7()
    sealed = core.vault.seal(tenant_id, "http", endpoint_id, {})

    async def job(writing: Writing) -> None:
        named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id}
        await writing.tx.execute(_ENDPOINT, {**named, "sealed": sealed, "created_at": writing.now})
        await writing.tx.execute(_BINDING, {**named, "route": "sales.forward"})
        writing.tenant(tenant_id).revision += 1

    await core.writer.submit(Job([tenant_id], job))


async def _set_up(devices: int, *, bound: bool) -> list[str]:
    async with open_core(Settings()) as core:
        tenant_id = await core.admin.add_tenant("Bench")
        if bound:
            await _bind(core, tenant_id)
        names = [f"Cassa {number}" for number in range(1, devices)]
        made = [await core.admin.add_device(tenant_id, name, "terminal", "main") for name in names]
        made.append(await core.admin.add_device(tenant_id, "Telefono", "owner", "main"))
        return [device.token for device in made]


def main() -> None:
    """Set up by the command line's arguments."""
    devices, *options = sys.argv[1:]

    async def run() -> list[str]:
        return await _set_up(int(devices), bound="--bound" in options)

    sys.stdout.write(json.dumps(anyio.run(run)))


if __name__ == "__main__":
    main()
