"""Pokes: telling open streams that a tenant has something new. A poke says "come and pull", never what changed.

A stream holds no database connection; a tenant's head is read once per poke however many streams wait for it.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio


class Pokes:
    """Who waits for what, in this process."""

    def __init__(self, read_head: Callable[[str], Awaitable[str]]) -> None:
        """`read_head` gives the opaque name of a tenant's head."""
        self._read_head = read_head
        self._waiting: dict[str, set[anyio.Event]] = defaultdict(set)
        self._heads: dict[str, str] = {}
        self._reading: dict[str, anyio.Lock] = defaultdict(anyio.Lock)

    def poke(self, tenant_id: str | None) -> None:
        """Wake a tenant's streams; None: any of them may have news."""
        for tenant in [tenant_id] if tenant_id is not None else list(self._waiting):
            self._heads.pop(tenant, None)
            for event in self._waiting.get(tenant, ()):
                event.set()

    async def head(self, tenant_id: str) -> str:
        """The tenant's head, read at most once between two pokes."""
        async with self._reading[tenant_id]:
            known = self._heads.get(tenant_id)
            if known is None:
                known = await self._read_head(tenant_id)
                if tenant_id in self._waiting:
                    self._heads[tenant_id] = known
            return known

    @contextmanager
    def listening(self, tenant_id: str) -> Iterator["Listener"]:
        """A stream's place among those to wake."""
        listener = Listener(self._waiting[tenant_id])
        try:
            yield listener
        finally:
            listener.leave()
            if not self._waiting[tenant_id]:
                for kept in (self._waiting, self._heads, self._reading):
                    kept.pop(tenant_id, None)


class Listener:
    """One stream. A poke that comes while it is busy is not lost: the next wait returns at once."""

    def __init__(self, among: set[anyio.Event]) -> None:
        """Join."""
        self._among = among
        self._event = anyio.Event()
        among.add(self._event)

    async def poked(self, within_s: float) -> bool:
        """Wait for a poke; False when none came in time."""
        with anyio.move_on_after(within_s):
            await self._event.wait()
        if not self._event.is_set():
            return False
        self.leave()
        self._event = anyio.Event()
        self._among.add(self._event)
        return True

    def leave(self) -> None:
        """Be woken no more."""
        self._among.discard(self._event)
