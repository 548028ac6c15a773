"""The PWA's client library through this server: every scenario of `pwa/src/client/*.peer.ts`, told one by one."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.pwa.shops import Shops, commands
from tests.support.serving import served

PWA = Path(__file__).parents[2] / "pwa"
NODE = shutil.which("node")
VITEST = PWA / "node_modules" / "vitest" / "vitest.mjs"


@pytest.fixture
async def told(tmp_path: Path) -> Any:
    """What vitest reports of the scenarios, which command a server of ours."""
    if NODE is None or not VITEST.is_file():
        pytest.skip("needs Node and `npm ci` in pwa")
    shops, report = Shops(tmp_path), tmp_path / "report.json"
    await shops.found()
    async with served(commands(shops)) as url, anyio.create_task_group() as tasks:
        tasks.start_soon(shops.run)
        command = [NODE, str(VITEST), "run", "--reporter=json", f"--outputFile={report}"]
        environment = {**os.environ, "RIENTRO_PEER": url, "NO_COLOR": "1"}
        ended = await anyio.run_process(command, cwd=PWA, env=environment, check=False)
        await shops.aclose()
    if not report.is_file():
        pytest.fail((ended.stdout + ended.stderr).decode()[-4000:])
    return json.loads(report.read_text())


async def test_the_library_and_the_server_keep_their_promises_to_each_other(told: dict[str, Any]) -> None:
    """Each scenario passed, and there were some."""
    cases = [case for file in told["testResults"] for case in file["assertionResults"]]
    broken = [file["message"] for file in told["testResults"] if file["status"] != "passed" and file["message"]]
    wrong = [case for case in cases if case["status"] != "passed"]
    failed = [f"{case['title']}: {''.join(case['failureMessages'])[:1500]}" for case in wrong]
    assert not failed + broken, "\n\n".join(failed + broken)
    assert len(cases) >= 10
