"""Fixtures every test may use: one event loop, a fresh migrated database for each test, no task left behind.

Property tests are seeded and without a clock: a run is the same everywhere, a failure replays.
`pytest --hypothesis-profile=deep` searches further, at random.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings

from tests.support.databases import PostgresTemplate, SqliteTemplate
from tests.support.postgres import postgres

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # it judges by the clock
)
settings.register_profile("deep", settings.get_profile("suite"), derandomize=False, max_examples=2000)
settings.load_profile("suite")

_LIBRARIES_OWN = {"_shutdown_watcher"}  # sse-starlette's, one a loop: it lets streams end when the server stops
_GRACE_S = 0.001  # for what is ending already


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One loop for the session, of the kind the server runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
async def _loop() -> AsyncIterator[asyncio.AbstractEventLoop]:
    yield asyncio.get_running_loop()  # noqa: PT022  a generator keeps the loop for the session


@pytest.fixture(autouse=True)
def no_stray_tasks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an asynchronous test that leaves tasks running; all tests share the loop, so they would disturb others."""
    if "anyio_backend" not in request.fixturenames:
        yield
        return
    loop: asyncio.AbstractEventLoop = request.getfixturevalue("_loop")
    before = asyncio.all_tasks(loop)
    yield
    loop.run_until_complete(asyncio.sleep(_GRACE_S))
    stray = {task for task in asyncio.all_tasks(loop) - before if _name(task) not in _LIBRARIES_OWN}
    if stray:
        names = sorted(map(_name, stray))
        loop.run_until_complete(_end(stray))
        pytest.fail(f"left running: {', '.join(names)}", pytrace=False)


def _name(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", repr(task))


async def _end(tasks: set[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)


@pytest.fixture(scope="session")
def _database_portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The socket folder of the session's PostgreSQL, for tests that make databases of their own."""
    with postgres() as socket:
        yield socket


@pytest.fixture(scope="session")
def _postgres_template(_database_portal: BlockingPortal, postgres_socket: Path) -> PostgresTemplate:
    return PostgresTemplate(_database_portal, postgres_socket)


@pytest.fixture(scope="session")
def _sqlite_template(_database_portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    return SqliteTemplate(_database_portal, tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def sqlite_url(_sqlite_template: SqliteTemplate, tmp_path: Path) -> str:
    """The address of a fresh migrated SQLite database."""
    return _sqlite_template.copy_to(tmp_path / "rientro.db")


@pytest.fixture
def postgres_url(_postgres_template: PostgresTemplate) -> Iterator[str]:
    """The address of a fresh migrated PostgreSQL database."""
    with _postgres_template.copy() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh migrated database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything logged during the test."""
    from tests.support.logged import logged  # noqa: PLC0415  tests of the kernel load no server

    with logged() as stream:
        yield stream
