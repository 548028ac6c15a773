"""The nursery itself: imports the server once, then forks a process for each request on its socket (see `nursery`)."""

import atexit
import contextlib
import gc
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from importlib import import_module
from typing import Any

import server.cli
import sync.client
from tests.support.processes import dying_with_parent

WARM = (server.cli, sync.client)
LOADED_LATE = (
    "aiosqlite",
    "anyio._backends._asyncio",
    "asyncpg",
    "server.storage.migrations.digests",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""Imported here, so that no child has to."""
_MOST_BYTES = 256 * 1024
_die_with_nursery = dying_with_parent(signal.SIGKILL)


def serve(control: socket.socket) -> None:
    """Until the other end is closed: fork what is asked for, and tell how each ended."""
    reports: dict[int, int] = {}
    woken, waking = os.pipe()
    for end in (woken, waking):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    with selectors.DefaultSelector() as selector:
        for readable in (control.fileno(), woken):
            selector.register(readable, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                _reap(reports)
            if control.fileno() in ready and not _take(control, reports):
                return


def _take(control: socket.socket, reports: dict[int, int]) -> bool:
    message, handed, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
    if not message:
        return False
    pid = os.fork()
    if pid == 0:
        control.close()
        _become(json.loads(message), handed)
    for one in handed[:3]:
        os.close(one)
    reports[pid] = handed[3]
    os.write(handed[3], f"{pid}\n".encode())
    return True


def _reap(reports: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            report = reports.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(report)


def _become(wanted: dict[str, Any], handed: list[int]) -> None:
    """Be the process that is wanted, to its end; never returns."""
    status = 1
    try:
        _prepare(wanted, handed)
        runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            sys.stderr.write(f"{leaving.code}\n")
    except BaseException:  # noqa: BLE001  it is the end of a process
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end
            atexit._run_exitfuncs()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _prepare(wanted: dict[str, Any], handed: list[int]) -> None:
    _die_with_nursery()
    if wanted["session"]:
        os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, one in enumerate(handed[:3]):
        os.dup2(one, number)
    for one in handed:
        os.close(one)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(wanted["environment"])
    random.seed()
    time.tzset()
    sys.argv = [wanted["module"], *wanted["arguments"]]


if __name__ == "__main__":
    for name in LOADED_LATE:
        import_module(name)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
