"""`rientro tidy`, in real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio

from server.app import open_core
from server.settings import Settings


async def _rientro(data: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
    return await anyio.run_process(
        [sys.executable, "-m", "server", *arguments],
        env={**environment, "RIENTRO_DATA": str(data), "COLUMNS": "200"},
        check=False,
    )


async def test_every_merchant_is_tidied_or_only_the_one_that_is_named(tmp_path: Path) -> None:
    """A new shop has nothing to collect, and an unknown one is told in a line."""
    async with open_core(Settings(data=tmp_path)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
    (collected,) = json.loads((await _rientro(tmp_path, "tidy", "--json")).stdout)
    assert collected.pop("tenant_id") == tenant_id
    assert collected["sales_tombstones"] == collected["mutations"] == 0
    unknown = await _rientro(tmp_path, "tidy", "--tenant", "019ab697-e801-7d8e-91b7-584a2265b1f5")
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert unknown.stderr.startswith(b"error:")
