"""Run the command line as a user would: a process of its own, nothing set that the test did not set."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.nursery import run


def rientro(data: Path, *arguments: str, given: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command on the folder `data`; `given` is its standard input."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
    environment = {**kept, "RIENTRO_DATA": str(data), "COLUMNS": "200", **settings}
    return run("server", *arguments, environment=environment, given=given)


def rientro_json(data: Path, *arguments: str, given: str = "") -> Any:
    """What a command that succeeds prints with `--json`."""
    done = rientro(data, *arguments, "--json", given=given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
