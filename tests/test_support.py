"""The helpers of the tests keep their promises: what they start is real, separate, and gone afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.processes import ProcessEndedError, ServerProcess, server_process
from tests.support.serving import in_process, served
from tests.support.toy import broken, toy

ROOT = Path(__file__).parents[1]
STRAY = """
import asyncio

tasks = []

async def wander():
    await asyncio.sleep(60)

async def test_that_leaves_a_task():
    tasks.append(asyncio.create_task(wander()))

async def test_that_sees_it_ended():
    assert tasks.pop().cancelled()

async def test_that_cancels():
    asyncio.create_task(wander()).cancel()

def test_without_a_loop():
    pass
"""
SERVE = ["-m", "uvicorn", "tests.support.toy:toy", "--port", "{port}", "--log-level", "info"]


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
async def inner() -> AsyncIterator[httpx.AsyncClient]:
    """The toy in this process."""
    async with in_process(toy) as client:
        yield client


@pytest.fixture
async def socket_url() -> AsyncIterator[str]:
    """The toy behind a real socket."""
    async with served(toy) as url:
        yield url


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """The toy in a process of its own."""
    async with server_process(SERVE, tmp_path / "log") as server:
        yield server


async def test_in_process_has_the_lifespan_state(inner: httpx.AsyncClient) -> None:
    """A request sees what the startup made."""
    assert (await inner.get("/a")).text == "/a up"


async def test_served_answers_over_a_socket(socket_url: str) -> None:
    """A real client reaches it."""
    async with httpx.AsyncClient(base_url=socket_url) as client:
        assert (await client.get("/b")).text == "/b up"


async def test_an_application_that_does_not_start_is_reported() -> None:
    """Neither way of driving it hangs."""
    with pytest.raises(ExceptionGroup, check=lambda group: "no database" in str(group.exceptions[0])):
        async with in_process(broken):
            pass
    with pytest.raises(ExceptionGroup, check=lambda group: "did not start" in str(group.exceptions[0])):
        async with served(broken):
            pass


async def test_a_killed_process_comes_back_on_its_address(process: ServerProcess) -> None:
    """SIGKILL ends it at once; the next life has the same address and another pid."""
    async with httpx.AsyncClient(base_url=process.url) as client:
        first = process.pid
        process.kill()
        with pytest.raises(httpx.TransportError):
            await client.get("/c")
        await process.start()
        assert (await client.get("/c")).text == "/c up"
    assert process.pid != first
    assert not alive(first)


async def test_a_stopped_process_says_goodbye(process: ServerProcess) -> None:
    """SIGTERM lets it finish; its log holds both ends of its life."""
    await process.stop()
    assert "Application startup complete" in process.log_text()
    assert "Finished server process" in process.log_text()


async def test_a_process_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    """Nobody waits for the time limit of something that is gone."""
    with pytest.raises(ProcessEndedError, match="ended with 3\nso long"):
        async with server_process(["-c", "import sys; print('so long'); sys.exit(3)"], tmp_path / "log"):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="the promise is Linux's")
async def test_no_process_outlives_a_killed_test(tmp_path: Path) -> None:
    """A test process killed by SIGKILL takes its servers along."""
    script = f"""
import anyio, pathlib
from tests.support.processes import server_process
async def main():
    async with server_process({SERVE!r}, pathlib.Path({str(tmp_path / "log")!r})) as server:
        print(server.pid, flush=True)
        await anyio.sleep(60)
anyio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:  # noqa: ASYNC220
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        await anyio.sleep(0.01)
    assert not alive(child)


def test_a_stray_task_fails_its_test_and_no_other(tmp_path: Path) -> None:
    """The task is named and ended; what a test cancels or awaits is not held against it."""
    (tmp_path / "test_stray.py").write_text(STRAY)
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", f"--rootdir={tmp_path}", str(tmp_path)]
    command += ["--disable-plugin-autoload", "-p", "anyio"]  # others take seconds to load
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "4 passed, 1 error" in outcome.stdout
    assert "left running: wander" in outcome.stdout


async def test_each_test_has_a_database_of_its_own(database_url: str) -> None:
    """It is migrated, and what one test writes another does not see: this runs on each kind, on one name."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        await connection.execute(sa.text("CREATE TABLE only_mine (n INTEGER)"))
    await engine.dispose()
    assert "alembic_version" in tables
    assert "only_mine" not in tables


async def test_a_database_is_fresh_again(database_url: str) -> None:
    """The table of the test above is not here."""
    await test_each_test_has_a_database_of_its_own(database_url)


def test_a_synchronous_test_gets_a_database_too(database_url: str) -> None:
    """Databases are made without the test's event loop."""
    assert database_url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://"))
