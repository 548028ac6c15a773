"""A line that fails: a TCP proxy that loses requests and answers, or is down altogether.

It knows of HTTP only that a request is followed by its answer. A lost answer is lost after it was given, so whatever
was asked for has taken effect. What befalls a request is drawn from a shuffled deck, not diced: the same seed draws the
same cards, and a short run sees every kind of fault as well.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

Fate = Literal["pass", "lose_request", "lose_answer", "cut_answer"]

DECK: tuple[Fate, ...] = (*("pass",) * 8, *("lose_answer",) * 2, "cut_answer", "lose_request")
_CHUNK = 65_536


@dataclass
class _Connection:
    """One connection through the line: what was drawn for the request under way, and whether it was answered."""

    scope: anyio.CancelScope
    fate: Fate = "pass"
    answered: bool = True


_Turn = Callable[[_Connection, bytes], bytes | None]


@dataclass
class Proxy:
    """A line to a port of this machine. `up`: the network is there; `rough`: it fails now and then.

    A request takes `delay_s` on its way.
    """

    target: int
    seed: int
    up: bool = True
    rough: bool = True
    delay_s: float = 0
    port: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Nothing listens yet."""
        self._dice = random.Random(self.seed)
        self._cards: list[Fate] = []
        self._open: list[_Connection] = []

    @property
    def url(self) -> str:
        """Where clients call."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            self.port = listener.extra(SocketAttribute.local_port)  # noqa: S610  a socket's
            task_status.started()
            await listener.serve(self._connected)

    def go_down(self) -> None:
        """Cut every connection, and take none until `come_back`."""
        self.up = False
        for connection in self._open:
            connection.scope.cancel()

    def come_back(self, *, rough: bool) -> None:
        """The network is there again."""
        self.up, self.rough = True, rough

    async def _connected(self, caller: SocketStream) -> None:
        async with caller:
            if not self.up:
                self.counts["refused"] += 1
                return
            try:
                callee = await anyio.connect_tcp("127.0.0.1", self.target)
            except OSError:
                self.counts["unreachable"] += 1
                return
            async with callee:
                await self._forward(caller, callee)

    async def _forward(self, caller: SocketStream, callee: SocketStream) -> None:
        async with anyio.create_task_group() as tasks:
            connection = _Connection(tasks.cancel_scope)
            self._open.append(connection)
            tasks.start_soon(self._pump, connection, caller, callee, self._ask)
            await self._pump(connection, callee, caller, self._answer)
        self._open.remove(connection)

    async def _pump(self, connection: _Connection, source: SocketStream, sink: SocketStream, turn: _Turn) -> None:
        try:
            while (data := turn(connection, await source.receive(_CHUNK))) is not None:
                await anyio.sleep(0 if connection.answered else self.delay_s)
                await sink.send(data)
                if connection.fate == "cut_answer" and connection.answered:
                    break
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        connection.scope.cancel()

    def _ask(self, connection: _Connection, data: bytes) -> bytes | None:
        """What of a request goes on; None ends the connection."""
        if connection.answered:
            connection.fate, connection.answered = self._draw(), False
            self.counts[connection.fate] += 1
        return None if connection.fate == "lose_request" else data

    def _answer(self, connection: _Connection, data: bytes) -> bytes | None:
        """What of an answer comes back; None ends the connection."""
        if connection.answered:
            return data
        connection.answered = True
        if connection.fate == "lose_answer":
            return None
        return data[: len(data) // 2] if connection.fate == "cut_answer" else data

    def _draw(self) -> Fate:
        if not self.rough:
            return "pass"
        if not self._cards:
            self._cards = self._dice.sample(DECK, len(DECK))
        return self._cards.pop()
