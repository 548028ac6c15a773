"""Backing up and putting back, as the tests of both do it."""

import json
import zipfile
from pathlib import Path
from typing import Any

from server.ops.backup import Restored, backup, restore
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.outbox.outlet import Outlet
from tests.support.shop import START_MS, Shop, open_shop

STAMP = "20251124T100000"


class Nonces:
    """Nonces, until there are no more of them."""

    def __init__(self, most: int = 1000) -> None:
        self._given, self._most = 0, most

    def __call__(self) -> str:
        if self._given == self._most:
            raise LookupError("no more of them")
        self._given += 1
        return f"restored-{self._given}"


def ignore(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


async def put_back(url: str, file: Path, nonces: int = 1000) -> Restored:
    """Restore, with so many nonces and no more."""
    return await restore(url, file, STAMP, clock=lambda: START_MS + 1, nonce=Nonces(nonces))


def lying_about(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds of that name."""
    return list(folder.glob(pattern))


async def query(shop: Shop | Outlet, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""

    async def work(tx: Tx) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await tx.fetch(Statement(sql))]

    return await shop.database.read(work)


async def names(url: str, seed: int) -> set[str]:
    """The merchants of a database, and one that came to look."""
    async with open_shop(url, seed=seed) as shop:
        return {name for _, name, _ in await shop.admin.tenants()}


async def backed_up(url: str, file: Path, *later: str) -> None:
    """Back up a database with one merchant, to which others come later."""
    async with open_shop(url) as shop:
        await backup(url, shop.writer, file, ignore)
        for name in later:
            await shop.admin.add_tenant(name)


def edit_manifest(file: Path, **changes: Any) -> None:
    """The same backup, saying something else of itself."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["manifest.json"] = json.dumps({**json.loads(entries["manifest.json"]), **changes}).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
