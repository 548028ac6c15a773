"""A device: the real local database and taking of answers, driven by hand instead of by the loop and HTTP."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import httpx

from server.ports import Principal
from sync.client import Options, Runtime, Store
from sync.client.answer import parse_answer
from sync.client.errors import BatchTooLargeError, ForeignQueueError, NumberingError, TroubleError
from sync.client.taking import Outgoing, Taken
from sync.client.transport import encode_request, refusal
from tests.simulation.server import Reply

FIRST = 5
"""The schema of the apps that a day begins with."""


class Exchange(NamedTuple):
    """A request under way: who sent it, what it says, and the process that waits for its answer."""

    device: "Device"
    life: int
    sent_ms: int
    outgoing: Outgoing
    body: bytes


@dataclass(eq=False)
class Device:
    """A till, a phone or an office: a local database and the clock beside it.

    `skew_ms` is how far that clock is off. `life` counts its processes: an answer for one that died reaches nobody.
    `schema` is what its app was built against. `copied`: its database was copied or set back, so its receipt numbers
    may double.
    """

    name: str
    principal: Principal
    path: Path
    clock: Callable[[], int]
    options: Options
    randbytes: Callable[[int], bytes]
    schema: int = FIRST
    skew_ms: int = 0
    life: int = 0
    copied: bool = False
    actors: tuple[str, ...] = ()
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self._open()

    def now_ms(self) -> int:
        """What its own clock says."""
        return self.clock() + self.skew_ms

    def crash(self) -> None:
        """The process dies and a new one opens the file."""
        self.store.close()
        self._open()

    def update(self, schema: int) -> None:
        """A newer app opens the file."""
        self.schema, self.options = schema, replace(self.options, schema=schema)
        self.crash()

    def replace(self, content: bytes) -> None:
        """Another file in the place of this one: a phone restored from its backup."""
        self.store.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(content)
        self.copied = True
        self._open()

    def content(self) -> bytes:
        """The database's file."""
        return self.store._database.connection.serialize()

    def send(self) -> Exchange:
        """The next request."""
        outgoing = self.store.outgoing(self.options.batch, self.options.body_bytes)
        body = encode_request(outgoing, self.options)
        return Exchange(self, self.life, self.now_ms(), outgoing, body)

    def take(self, exchange: Exchange, reply: Reply) -> Taken | None:
        """Take an answer in, as the loop does; None where there was nothing to take."""
        if exchange.life != self.life:
            return None
        try:
            return self._taken(exchange, reply)
        except ForeignQueueError:
            raise
        except (TroubleError, BatchTooLargeError):
            return None

    def _taken(self, exchange: Exchange, reply: Reply) -> Taken:
        if reply.status == httpx.codes.OK:
            answer = parse_answer(reply.body)
            return self.store.take(exchange.outgoing, answer, exchange.sent_ms, self.now_ms())
        response = httpx.Response(reply.status, content=reply.body, headers=reply.headers)
        error = refusal(response, self.now_ms)
        if isinstance(error, NumberingError):
            return self.store.take_numbering(exchange.outgoing, error)
        raise error

    def _open(self) -> None:
        self.life += 1
        runtime = Runtime(clock_ms=self.now_ms, randbytes=self.randbytes)
        self.store = Store(self.path, runtime, schema=self.schema)
        self.store._database.connection.execute("PRAGMA synchronous = OFF")
