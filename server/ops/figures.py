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
UNRECONCILED_AFTER_MS = 10 * 60 * 1000
"""How long what does not add up is given to add up by itself: a till's queue may still be on its way."""

_CONFLICTS = Statement(
    f"""/* across tenants */ SELECT count(*) FROM (SELECT 1 FROM conflicts WHERE status = 'open' AND NOT deleted
       LIMIT {MOST_CONFLICTS}) AS counted"""  # noqa: S608  # a number of ours
)
_UNRECONCILED = Statement(
    f"""/* across tenants */ SELECT tenant_id, count(*) FROM (SELECT tenant_id FROM reconciliations
         WHERE status = 'open' AND NOT accepted AND NOT deleted AND opened_at <= :before
         LIMIT {MOST_CONFLICTS}) AS counted GROUP BY tenant_id ORDER BY tenant_id"""  # noqa: S608  # a number of ours
)
_BACKED_UP = Statement("/* across tenants */ SELECT min(backed_up_at) FROM tenants WHERE backed_up_at IS NOT NULL")


class Figures(NamedTuple):
    """What is known at an instant; without `is_up` the database did not answer, and what it holds is unknown.

    `left_out`: accounts beyond the bound. `backed_up_at`: of the tenant whose last backup is the oldest.
    `conflicts_open` counts what waits for a person's decision, up to a bound; `unreconciled` closings and receipt
    numbers of each tenant that have not added up for a while.
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
    unreconciled: Sequence[tuple[str, int]] | None = None


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
            return await self.database.read(partial(_look, at_ms, free))
        except DatabaseError:
            return Figures(at_ms, False, [], 0, None, free)  # noqa: FBT003  # a field


async def _look(at_ms: int, free: int | None, tx: Tx) -> Figures:
    until, now, told, before = map(
        encode_instant, (at_ms + SOON_MS, at_ms, at_ms - TOLD_MS, at_ms - UNRECONCILED_AFTER_MS)
    )
    accounts, left_out = await all_accounts(tx)
    ((backed_up_at,),) = await tx.fetch(_BACKED_UP)
    ((conflicts,),) = await tx.fetch(_CONFLICTS)
    return Figures(
        at_ms,
        is_up=True,
        accounts=accounts,
        left_out=left_out,
        backed_up_at=backed_up_at,
        disk_free_bytes=free,
        endings=await all_endings(tx, until),
        conflicts_open=conflicts,
        keys=await all_key_endings(tx, until=until, now=now, told=told),
        unreconciled=[(tenant_id, count) for tenant_id, count in await tx.fetch(_UNRECONCILED, {"before": before})],
    )


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
