"""The server's processes: killed and held still at random while there is trouble, and started again at once."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx

from tests.support.processes import dying_with_parent

LEASE_S = 2
"""As short as settings allow: for so long nobody takes over what a dead process had in hand."""

KILLS = ("at any moment", "around a write")
"""How processes die: by our hand, or by their own where it matters."""

_ROOT = Path(__file__).parents[2]
_KILLED = -signal.SIGKILL
_LOOK_S = 0.05
_KILL_EVERY_S = (0.6, 1.8)
_STANDS_STILL = 0.5
_STILL_S = LEASE_S + 2
"""A process that stands still for longer than its leases last finds that others have taken over."""


@dataclass
class Member:
    """One process through any number of lives; `url` where it serves."""

    name: str
    arguments: Sequence[str]
    url: str | None = None
    pid: int = 0
    still: bool = False


@dataclass
class Fleet:
    """All of them. `risk` is that of dying around a write, `plant` what is wrong with them on purpose.

    One is held still only in the middle of a call, or its leases would not matter: `calling` gives the ports that late
    calls come from.
    """

    starter: "subprocess.Popen[str]"
    folder: Path
    environment: Mapping[str, str]
    members: Sequence[Member]
    dice: random.Random
    risk: float = 0
    plant: str | None = None
    killed: Counter[str] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    calling: Callable[[], Collection[int]] = frozenset

    @property
    def urls(self) -> list[str]:
        """Where clients and peers call."""
        return [member.url for member in self.members if member.url is not None]

    def start(self, member: Member) -> None:
        """Begin a life."""
        member.pid = self._order(
            do="start",
            arguments=member.arguments,
            environment=self.environment,
            log=str(self.folder / f"{member.name}.log"),
            risk=self.risk,
            seed=self.dice.randrange(10**6),
            plant=self.plant,
        )

    async def restart(self) -> None:
        """End every life and begin new ones; returns when all servers answer."""
        for member in self.members:
            if member.pid:
                self._order(do="kill", pid=member.pid)
            self.start(member)
        await self.answering()

    async def answering(self) -> None:
        """Wait until every server answers. Raises TimeoutError."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            with anyio.fail_after(30):
                for url in self.urls:
                    while not await _answers(http, url):
                        await anyio.sleep(_LOOK_S)

    async def suffer(self) -> None:
        """Kill one after the other, at random, and now and then hold one still; until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            while True:
                await anyio.sleep(self.dice.uniform(*_KILL_EVERY_S))
                moving = [member for member in self.members if not member.still]
                calling = [member for member in moving if owns_a_socket(member.pid, self.calling())]
                if len(moving) == len(self.members) and calling and self.dice.random() < _STANDS_STILL:
                    tasks.start_soon(self._hold, self.dice.choice(calling))
                else:
                    self._kill(self.dice.choice(moving))

    def bury(self) -> None:
        """Start again whoever ended unasked."""
        ended = self._order(do="ended")
        for member in self.members:
            status = ended.get(str(member.pid))
            if status is None:
                continue
            if status == _KILLED:
                self.killed[KILLS[1]] += 1
            else:
                self.crashed.append(f"{member.name} ended with {status}")
            self.start(member)

    async def _watch(self) -> None:
        while True:
            self.bury()
            await anyio.sleep(_LOOK_S)

    def _kill(self, member: Member) -> None:
        if self._order(do="kill", pid=member.pid) is not None:
            self.killed[KILLS[0]] += 1
            self.start(member)

    async def _hold(self, member: Member) -> None:
        pid = member.pid
        os.kill(pid, signal.SIGSTOP)
        member.still = True
        self.killed["held still"] += 1
        try:
            await anyio.sleep(_STILL_S)
        finally:
            member.still = False
            if member.pid == pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _order(self, **order: Any) -> Any:
        assert self.starter.stdin is not None
        assert self.starter.stdout is not None
        self.starter.stdin.write(json.dumps(order) + "\n")
        self.starter.stdin.flush()
        return json.loads(self.starter.stdout.readline())


def owns_a_socket(pid: int, ports: Collection[int]) -> bool:
    """Whether a process has a TCP socket with one of these local ports (Linux; False elsewhere)."""
    with suppress(OSError):  # it has just ended, or this is no Linux
        connections = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{one[9]}]" for one in connections if int(one[1].rpartition(":")[2], 16) in ports}
        return any(_link(file) in sockets for file in [*Path(f"/proc/{pid}/fd").iterdir()])
    return False


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""  # closed meanwhile


@contextmanager
def starting(log: Path) -> Iterator["subprocess.Popen[str]"]:
    """The process that forks the others; they end with it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=_ROOT,
            env=inherited,
            preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def suffering(fleet: Fleet) -> AsyncIterator[None]:
    """Trouble until the block ends; all are well and new after it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fleet.suffer)
        yield
        tasks.cancel_scope.cancel()
    fleet.bury()
    fleet.risk = 0
    await fleet.restart()


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/health/live")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
