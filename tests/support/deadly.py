"""A database that kills its process now and then: before a write begins, before its commit, and after it."""

import os
import random
import signal
from typing import TypeVar

from server.storage.database import Database, Tx, Work

T = TypeVar("T")


class Deadly:
    """A database whose every write risks the process's life, three times over."""

    def __init__(self, inner: Database, risk: float, seed: int) -> None:
        """`risk` is from 0 to 1."""
        self._inner, self._risk, self._dice = inner, risk, random.Random(seed)
        self.dialect = inner.dialect
        self.read, self.watch, self.close = inner.read, inner.watch, inner.close

    async def write(self, work: Work[T]) -> T:
        """Write, or die trying."""

        async def doomed(tx: Tx) -> T:
            result = await work(tx)
            self._die()
            return result

        self._die()
        result = await self._inner.write(doomed)
        self._die()
        return result

    def _die(self) -> None:
        if self._dice.random() < self._risk:
            os.kill(os.getpid(), signal.SIGKILL)
