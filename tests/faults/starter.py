"""Starts servers in a moment: everything is loaded once, and each life is a fork of that which runs `rientro …`.

`python -m tests.faults.starter` reads one order a line from its standard input, as JSON, and answers each in a line:

    {"do": "start", "arguments": ["relay"], "environment": {}, "log": "…", "risk": 0.01, "seed": 7, "plant": null}
                                   → the new process's id
    {"do": "kill", "pid": 1234}    → its exit status, by SIGKILL or what came before that
    {"do": "ended"}                → {"1234": -9, …}: who ended unasked, told once

`risk` is that of dying by one's own SIGKILL around a write: the moments that matter, too short to be hit from outside.
Every program is the real one; only the pauses between attempts are short, and what a plant spoils.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any

import server.app.core
import server.app.workers
from server.cli import main as rientro
from server.resilience.backoff import Schedule, Schedules
from tests.faults.plant import planted
from tests.simulation.planting import Planting, all_of, replaced
from tests.support.deadly import Deadly
from tests.support.processes import dying_with_parent

_SOON = Schedule(base_s=0.1, cap_s=1, lasts_s=3600)
_SCHEDULES = Schedules(_SOON, _SOON)
_LOADED_LATE = (
    "aiosqlite",
    "anyio._backends._asyncio",
    "asyncpg",
    "server.storage.migrations.digests",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""What a life would load by itself, each time anew."""


def _quick() -> Planting:
    """Days of waiting in seconds."""
    return all_of(
        *(
            replaced(server.app.workers, name, lambda options: partial(options, schedules=_SCHEDULES))
            for name in ("RelayOptions", "ProcessorOptions")
        )
    )


def _deadly(life: Mapping[str, Any]) -> Planting:
    """A database that kills its process now and then."""

    def make(opened: Any) -> Any:
        return lambda url: Deadly(opened(url), life["risk"], life["seed"])

    return replaced(server.app.core, "open_database", make)


def _live(life: Mapping[str, Any]) -> None:
    os.environ.update(life["environment"])
    log = os.open(life["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    with ExitStack() as stack:
        for planting in (_quick(), _deadly(life), planted(life["plant"])):
            stack.enter_context(planting())
        rientro(life["arguments"])


class Starter:
    """Forks lives and buries them; a process id is its own until then."""

    def __init__(self) -> None:
        self._living: set[int] = set()

    def obey(self, order: Mapping[str, Any]) -> Any:
        """Do one thing; the answer."""
        match order["do"]:
            case "start":
                return self._start(order)
            case "kill":
                return self._kill(order["pid"])
            case _:
                return self._ended()

    def _start(self, life: Mapping[str, Any]) -> int:
        mortal = dying_with_parent(signal.SIGKILL)
        pid = os.fork()
        if pid == 0:
            mortal()
            status = 1
            try:
                _live(life)
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            finally:
                sys.stdout.flush()
                os._exit(status)
        self._living.add(pid)
        return pid

    def _kill(self, pid: int) -> int | None:
        if pid not in self._living:
            return None
        os.kill(pid, signal.SIGKILL)
        self._living.discard(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _ended(self) -> dict[int, int]:
        ended: dict[int, int] = {}
        for pid in list(self._living):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._living.discard(pid)
                ended[pid] = os.waitstatus_to_exitcode(status)
        return ended


def main() -> None:
    """Obey until the input ends."""
    for name in _LOADED_LATE:
        import_module(name)
    gc.freeze()
    starter = Starter()
    for line in sys.stdin:
        print(json.dumps(starter.obey(json.loads(line))), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
