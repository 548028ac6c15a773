"""`rientro tidy`, in real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path


def _rientro(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        capture_output=True,
        text=True,
        env={**environment, "RIENTRO_DATA": str(data), "COLUMNS": "200"},
        timeout=60,
        check=False,
    )


def test_every_merchant_is_tidied_or_only_the_one_that_is_named(tmp_path: Path) -> None:
    """A new shop has nothing to collect, and an unknown one is told in a line."""
    tenant_id = json.loads(_rientro(tmp_path, "tenant", "add", "Bar Sport", "--json").stdout)["tenant_id"]
    (collected,) = json.loads(_rientro(tmp_path, "tidy", "--json").stdout)
    assert collected.pop("tenant_id") == tenant_id
    assert collected["sales_tombstones"] == collected["mutations"] == 0
    unknown = _rientro(tmp_path, "tidy", "--tenant", "019ab697-e801-7d8e-91b7-584a2265b1f5")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error:")
