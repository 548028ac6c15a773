"""Pokes: telling open streams that a tenant has something new. A poke says "come and pull", never what changed.

Rules:

1. A stream only waits. One task a tenant reads where the tenant stands and tells all its streams: one read a poke and
   one a heartbeat, however many streams there are, and none of them holds a connection to the database.
2. The first poke is told at once. Those that come within `REST_S` of it are told as one when that time is over: a busy
   tenant costs each stream four writes a second, and the last commit is always told.
3. A poke after which the tenant stands where it stood is not told; a heartbeat always is, and always from a fresh read,
   so a poke that got lost costs a heartbeat. It comes when nothing was told for so long, whatever pokes came: streams
   that hear nothing are taken for dead on their way.
4. Streams are told a few at a time, so that requests are answered in between.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, NamedTuple

import anyio
import structlog
from anyio.abc import TaskGroup

from server import meters
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import UnknownTenantError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

REST_S = 0.25
TROUBLE_S = 1.0
"""After a read that failed: the database is not asked more often by any tenant's streams."""
AT_ONCE = 50
"""So many streams are told in one turn of the event loop."""

_STANDING = Statement("SELECT epoch, seq, revision FROM tenants WHERE tenant_id = :tenant_id")


class Standing(NamedTuple):
    """Where a tenant stands: its head by its opaque name, and the revision of its devices."""

    head: str
    revision: int


class Told(NamedTuple):
    """What a stream passes on."""

    kind: Literal["poke", "heartbeat"]
    standing: Standing


Standings = Callable[[str], Awaitable[Standing]]
"""Reads where a tenant stands. Raises UnknownTenantError, DatabaseError."""


def standings(database: Database, name: Callable[[str, str, int], str]) -> Standings:
    """Read standings from the database; `name` makes a head's name of tenant, epoch and sequence."""

    async def read(tenant_id: str) -> Standing:
        async def work(tx: Tx) -> Standing:
            rows = await tx.fetch(_STANDING, (tenant_id,))
            if not rows:
                raise UnknownTenantError
            epoch, seq, revision = rows[0]
            return Standing(name(tenant_id, epoch, seq), revision)

        return await database.read(work)

    return read


class Listener:
    """One stream: what it has not passed on yet is replaced by what is newer, so a slow one never falls behind."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._event = anyio.Event()
        self._told: Told | None = None

    def tell(self, told: Told | None) -> None:
        """Wake it with news; None: it is over."""
        self._told = told
        self._event.set()

    @property
    def has_news(self) -> bool:
        """Whether there is something it has not passed on."""
        return self._event.is_set()

    def __aiter__(self) -> "Listener":
        """What is told, as it comes."""
        return self

    async def __anext__(self) -> Told:
        """Wait for what is told next."""
        await self._event.wait()
        if self._told is None:
            raise StopAsyncIteration
        self._event = anyio.Event()
        return self._told


class _Channel:
    """The streams of one tenant."""

    def __init__(self, heartbeat_s: float) -> None:
        """There is news for the first stream: where the tenant stands."""
        self._heartbeat_s = heartbeat_s
        self._quiet_until = anyio.current_time() + heartbeat_s
        self.listeners: dict[Listener, None] = {}  # in the order they came, so that none is passed over
        self.standing: Standing | None = None
        self.poked_at: float | None = None
        self.news = anyio.Event()
        self.news.set()
        self.scope = anyio.CancelScope()

    def poke(self) -> None:
        """There may be news."""
        if self.poked_at is None:
            self.poked_at = anyio.current_time()
        self.news.set()

    async def due(self) -> Literal["poke", "heartbeat"]:
        """Wait until there is something to tell."""
        with anyio.move_on_after(self._quiet_until - anyio.current_time()):
            await self.news.wait()
        if not self.news.is_set():
            return "heartbeat"
        self.news = anyio.Event()
        return "poke"

    async def tell(self, told: Told) -> None:
        """Tell all, unless a poke says what all of them know, and no heartbeat is due."""
        if told == ("poke", self.standing):
            if anyio.current_time() < self._quiet_until:
                self.poked_at = None
                return
            told = told._replace(kind="heartbeat")
        poked_at, self.poked_at = self.poked_at, None
        self.standing = told.standing
        self._quiet_until = anyio.current_time() + self._heartbeat_s
        for count, listener in enumerate(list(self.listeners), 1):
            listener.tell(told)
            if count % AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        if poked_at is not None:
            meters.POKE_SECONDS.observe(anyio.current_time() - poked_at)

    def end(self) -> None:
        """Tell all that it is over."""
        for listener in self.listeners:
            listener.tell(None)


class Pokes:
    """Who waits for what, in this process."""

    def __init__(
        self,
        read: Standings,
        heartbeat_s: float,
        rest: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`rest` waits for so many seconds between two things told."""
        self._read, self._heartbeat_s, self._rest = read, heartbeat_s, rest
        self._channels: dict[str, _Channel] = {}
        self._tasks: TaskGroup | None = None
        self.stopping = anyio.Event()
        """Set by whoever learns that the process is about to stop: all streams end."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Streams may open until the block ends."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._end_when_stopping)
            yield
            self._tasks.cancel_scope.cancel()

    def poke(self, tenant_id: str | None) -> None:
        """A tenant may have news; None: any of them."""
        meters.POKES.inc()
        if tenant_id is None:
            for channel in self._channels.values():
                channel.poke()
        elif tenant_id in self._channels:
            self._channels[tenant_id].poke()

    def revision(self, tenant_id: str) -> int | None:
        """The revision that a tenant's streams were told last, if it has any: what held then is found out soon."""
        channel = self._channels.get(tenant_id)
        return None if channel is None or channel.standing is None else channel.standing.revision

    @contextmanager
    def listening(self, tenant_id: str) -> Iterator[Listener]:
        """A stream's place among those that are told; where its tenant stands, it is told at once."""
        channel, listener = self._channels.get(tenant_id) or self._open(tenant_id), Listener()
        channel.listeners[listener] = None
        meters.STREAMS.inc()
        if self.stopping.is_set():
            listener.tell(None)
        elif channel.standing is not None:
            listener.tell(Told("poke", channel.standing))
        try:
            yield listener
        finally:
            meters.STREAMS.dec()
            del channel.listeners[listener]
            if not channel.listeners:
                self._close(tenant_id, channel)

    def _open(self, tenant_id: str) -> _Channel:
        assert self._tasks is not None, "not running"
        channel = self._channels[tenant_id] = _Channel(self._heartbeat_s)
        self._tasks.start_soon(self._serve, tenant_id, channel)
        return channel

    def _close(self, tenant_id: str, channel: _Channel) -> None:
        channel.scope.cancel()
        if self._channels.get(tenant_id) is channel:
            del self._channels[tenant_id]

    async def _end_when_stopping(self) -> None:
        await self.stopping.wait()
        for channel in self._channels.values():
            channel.end()

    async def _serve(self, tenant_id: str, channel: _Channel) -> None:
        with channel.scope:
            while True:
                kind = await channel.due()
                try:
                    await channel.tell(Told(kind, await self._read(tenant_id)))
                except UnknownTenantError:
                    self._channels.pop(tenant_id, None)
                    channel.end()
                    return
                except Exception as error:  # noqa: BLE001  # streams stay open, and are told once it can be read again
                    log.warning("standing_unreadable", error=str(error))
                    channel.news.set()
                    await self._rest(TROUBLE_S)
                else:
                    await self._rest(REST_S)
