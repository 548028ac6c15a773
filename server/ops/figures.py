"""What `/metrics` tells beside the process's own counts: read from the database, remembered for a few seconds.

However many scrape, and however often, the database is asked once a moment; while it does not answer, what was known
last is not told as if it were now.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio

from server.ops.accounts import Account, all_accounts
from server.ops.endings import SOON_MS, Ending, all_endings
from server.ops.keys import TOLD_MS, KeyEnding, all_key_endings
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from sync.clock import encode_instant

REMEMBER_MS = 5_000

MOST_CONFLICTS = 10_000
_CONFLICTS = Statement(
    f"""/* across tenants */ SELECT count(*) FROM (SELECT 1 FROM conflicts WHERE status = 'open' AND NOT deleted
       LIMIT {MOST_CONFLICTS}) AS counted"""  # noqa: S608  # a number of ours
)
_BACKED_UP = Statement("/* across tenants */ SELECT min(backed_up_at) FROM tenants WHERE backed_up_at IS NOT NULL")


class Figures(NamedTuple):
    """What is known at an instant; without `is_up` the database did not answer, and what it holds is unknown.

    `left_out`: accounts beyond the bound. `backed_up_at`: of the tenant whose last backup is the oldest.
    `conflicts_open` counts what waits for a person's decision, up to a bound.
    """

    at_ms: int
    is_up: bool
    accounts: list[Account]
    left_out: int
    backed_up_at: str | None
    disk_free_bytes: int | None
    endings: Sequence[Ending] = ()
    conflicts_open: int | None = None
    keys: Sequence[KeyEnding] = ()


@dataclass
class Watch:
    """Reads figures. `clock` gives milliseconds since 1970, `folder` is on the disk whose space is told."""

    database: Database
    clock: Callable[[], int]
    folder: Path
    _known: Figures | None = None
    _reading: anyio.Lock = field(default_factory=anyio.Lock)

    async def figures(self) -> Figures:
        """Not older than a few seconds; never raises for a database that does not answer."""
        async with self._reading:
            known = self._known
            if known is None or not 0 <= self.clock() - known.at_ms < REMEMBER_MS:
                known = self._known = await self._read()
            return known

    async def _read(self) -> Figures:
        at_ms, free = self.clock(), _free_bytes(self.folder)
        try:
            accounts, left_out, backed_up_at, endings, conflicts, keys = await self.database.read(partial(_look, at_ms))
        except DatabaseError:
            return Figures(at_ms, False, [], 0, None, free)  # noqa: FBT003  # a field
        return Figures(at_ms, True, accounts, left_out, backed_up_at, free, endings, conflicts, keys)  # noqa: FBT003


async def _look(at_ms: int, tx: Tx) -> tuple[list[Account], int, str | None, list[Ending], int, list[KeyEnding]]:
    until, now, told = map(encode_instant, (at_ms + SOON_MS, at_ms, at_ms - TOLD_MS))
    accounts, left_out = await all_accounts(tx)
    ((backed_up_at,),) = await tx.fetch(_BACKED_UP)
    ((conflicts,),) = await tx.fetch(_CONFLICTS)
    keys = await all_key_endings(tx, until=until, now=now, told=told)
    return accounts, left_out, backed_up_at, await all_endings(tx, until), conflicts, keys


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
