"""`rientro tidy`, in real processes."""

import json
from pathlib import Path

from anyio import to_thread

from server.app import open_core
from server.settings import Settings
from tests.cli.commands import rientro


async def test_every_merchant_is_tidied_or_only_the_one_that_is_named(tmp_path: Path) -> None:
    """A new shop has nothing to collect, and an unknown one is told in a line."""
    async with open_core(Settings(data=tmp_path)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
    (collected,) = json.loads((await to_thread.run_sync(rientro, tmp_path, "tidy", "--json")).stdout)
    assert collected.pop("tenant_id") == tenant_id
    assert collected["sales_tombstones"] == collected["mutations"] == 0
    unknown = await to_thread.run_sync(rientro, tmp_path, "tidy", "--tenant", "019ab697-e801-7d8e-91b7-584a2265b1f5")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error:")
