"""Real server processes for tests: started, killed and started again on one address, with a log file to read.

No process outlives its test: the context manager kills the whole group, and should the test process itself be
killed, the kernel kills the child (Linux). Start processes from the main thread: the kernel's promise is bound to
the thread that forked.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

import anyio
import httpx

from tests.support.nursery import Files, Forked, fork

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_ROOT = Path(__file__).parents[2]


class ProcessEndedError(RuntimeError):
    """A process that should run has ended, or never answered; the message ends with its log."""


def dying_with_parent(sig: signal.Signals) -> Callable[[], None]:
    """Make a `preexec_fn`: the child receives `sig` when the thread that started it ends, however it ends."""
    parent = os.getpid()

    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, sig)
            if os.getppid() != parent:  # the parent was gone before the promise was made
                os.kill(os.getpid(), sig)

    return prepare


@contextmanager
def reserved_port() -> Iterator[int]:
    """Hold a free port of 127.0.0.1, bound but not listening: a server with SO_REUSEADDR may use it, others not."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


class ServerProcess:
    """One server on one port through any number of lives."""

    def __init__(self, arguments: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> None:
        """Describe the process: its command, in which `{port}` is filled in; nothing is started yet."""
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self._command = [argument.replace("{port}", str(port)) for argument in arguments]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def pid(self) -> int:
        """The process id of the present life."""
        return self._running().pid

    @property
    def runs(self) -> bool:
        """Whether this life goes on; one that ended by itself is `kill`ed before the next start."""
        return self._process is not None and self._process.poll() is None

    async def start(self, ready: str = "/health/live", timeout_s: float = 30) -> None:
        """Start a life and return once `ready` answers 200."""
        if self._process is not None:
            raise RuntimeError("already started")
        with self.log.open("ab") as log:
            self._process = self._begin(log)
        await self._wait_ready(self.url + ready, timeout_s)

    def _begin(self, log: IO[bytes]) -> "subprocess.Popen[bytes] | Forked":
        program, *arguments = self._command
        if program == sys.executable and arguments[0] == "-m":
            with open(os.devnull, "rb") as nothing:  # noqa: PTH123
                files = Files(nothing, log, log)
                return fork(*arguments[1:], environment=self._environment, files=files, session=True)
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
            env=self._environment,
            start_new_session=True,
            preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
        )

    def kill(self) -> None:
        """SIGKILL the process and its children, as a power cut would; no farewell, harmless when it has ended."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # all of it has ended and was waited for
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    async def restart(self) -> None:
        """Kill this life and start the next on the same address."""
        self.kill()
        await self.start()

    async def stop(self, timeout_s: float = 20) -> int:
        """SIGTERM, wait, and give the exit status; a server that does not end in time is killed and reported."""
        process = self._running()
        process.terminate()
        deadline = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < deadline:
            await anyio.sleep(0.01)
        status = process.poll()
        self.kill()
        if status is None:
            raise ProcessEndedError(f"did not end within {timeout_s} s of SIGTERM\n{self.log_text()}")
        return status

    def log_text(self) -> str:
        """All that every life so far has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _running(self) -> "subprocess.Popen[bytes] | Forked":
        if self._process is None:
            raise RuntimeError("not started")
        return self._process

    async def _wait_ready(self, url: str, timeout_s: float) -> None:
        process = self._running()
        deadline = time.monotonic() + timeout_s
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ProcessEndedError(f"ended with {process.returncode}\n{self.log_text()}")
                if await _answers(client, url):
                    return
                await anyio.sleep(0.01)
        raise ProcessEndedError(f"no 200 from {url} within {timeout_s} s\n{self.log_text()}")


@asynccontextmanager
async def server_process(
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    program: str = sys.executable,
    ready: str = "/health/live",
) -> AsyncIterator[ServerProcess]:
    """Start `python {arguments}` on a free port, as in `["-m", "server", "serve", "--port", "{port}"]`.

    Another `program` takes Python's place. It is there once `ready` answers 200.
    The child sees this environment without any RIENTRO_ variable, plus `environment`. It is killed at the end.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
    with reserved_port() as port:
        server = ServerProcess(
            [program, *arguments], port, log, {**inherited, "PYTHONUNBUFFERED": "1", **(environment or {})}
        )
        try:
            await server.start(ready)
            yield server
        finally:
            server.kill()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
