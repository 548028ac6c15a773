"""Processes that start in milliseconds: forked from one that has imported the server, and does nothing else.

A test that runs a command or kills a server wants a real process, with its own environment, files and end; what it does
not want is to import the whole server again, which takes a second of a processor each time. So each test process keeps
one nursery, which imports once and forks for each request. It has no threads and no event loop, and ends with us.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).parents[2]
_TICK_S = 0.005


class Forked:
    """A process of the nursery, used like one of `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], reports: int) -> None:
        """`reports` is where the nursery writes the pid, and the status once there is one; ours to close."""
        self.args, self._reports, self._told = list(args), reports, b""
        while b"\n" not in self._told:
            self._told += self._read()
        self.pid = int(self._told.partition(b"\n")[0])
        self.returncode: int | None = None
        os.set_blocking(reports, False)

    def _read(self) -> bytes:
        told = os.read(self._reports, 64)
        if not told:
            raise RuntimeError("the nursery has ended")
        return told

    def poll(self) -> int | None:
        """The status, negative for a signal; None while it runs."""
        while self.returncode is None:
            try:
                self._told += self._read()
            except BlockingIOError:
                return None
            _, _, status = self._told.partition(b"\n")
            if status.endswith(b"\n"):
                self.returncode = int(status)
                os.close(self._reports)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The status once it has ended. Raises subprocess.TimeoutExpired; `timeout` in seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(_TICK_S)
        return status

    def send_signal(self, sig: int) -> None:
        """As the system does; nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


@dataclass(frozen=True)
class Files:
    """What a process reads and writes, by file descriptors or files."""

    stdin: int | IO[bytes]
    stdout: int | IO[bytes]
    stderr: int | IO[bytes]


def fork(module: str, *arguments: str, environment: Mapping[str, str], files: Files, session: bool = False) -> Forked:
    """Run `python -m module` in a process of its own, from the project's root; `session`: in a group of its own."""
    reading, writing = os.pipe()
    wanted = {"module": module, "arguments": arguments, "environment": dict(environment), "session": session}
    handed = [one if isinstance(one, int) else one.fileno() for one in (files.stdin, files.stdout, files.stderr)]
    try:
        socket.send_fds(_nursery(os.getpid()), [json.dumps(wanted).encode()], [*handed, writing])
    finally:
        os.close(writing)
    return Forked(["-m", module, *arguments], reading)


def run(
    module: str, *arguments: str, environment: Mapping[str, str], given: str = "", timeout_s: float = 60
) -> "subprocess.CompletedProcess[str]":
    """The same to its end, as `subprocess.run` does with text; raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        process = fork(module, *arguments, environment=environment, files=Files(stdin, stdout, stderr))
        try:
            status = process.wait(timeout_s)
        finally:
            process.kill()
        told = []
        for file in (stdout, stderr):
            file.seek(0)
            told.append(file.read().decode())
        return subprocess.CompletedProcess(process.args, status, *told)


@cache
def _nursery(_owner: int) -> socket.socket:
    """Our end of the line to the nursery of this very process; it ends when this end is closed, however that comes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forking", str(theirs.fileno())],
            cwd=_ROOT,
            env={**os.environ, "COLUMNS": "200"},  # the command line takes its width when it is imported
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours
