"""A server's data, its merchants and its process; and the books, read from the database's file past all of our code."""

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from server.app import open_core
from server.audit import OPERATOR
from server.auth.people import NewPerson
from server.cli.demo import _stock
from server.settings import Settings
from tests.support.processes import ServerProcess, server_process

MERCHANTS = 40


@dataclass(frozen=True)
class Merchant:
    """Somebody who sells here. `link` is the token of the one-time link of its owner, Anna."""

    tenant_id: str
    link: str


@dataclass(frozen=True)
class Books:
    """What the server's database holds of a merchant: sales by record id with their numbers, and a product's stock."""

    sales: dict[str, int]
    stock: Decimal | None
    rejected: int


@dataclass
class Shop:
    """A server that can be killed and put back; `merchants` that nobody has used yet."""

    folder: Path
    server: ServerProcess
    pages: Path
    merchants: list[Merchant] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    async def unlucky(self, *fates: str) -> None:
        """Drop the next answers after their commit (`drop`), or kill the process there (`die`)."""
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{self.url}/test/unlucky", content=json.dumps(fates))).raise_for_status()

    async def lucky(self) -> None:
        """Let all answers through again."""
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{self.url}/test/unlucky", content="null")).raise_for_status()

    def back_up(self) -> None:
        """Copy a killed server's data aside."""
        shutil.rmtree(self.folder / "backup", ignore_errors=True)
        shutil.copytree(self.folder / "data", self.folder / "backup")

    def put_back(self) -> None:
        """Put a killed server's data back as it was."""
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "backup", self.folder / "data")

    def books(self, merchant: Merchant, product: str | None = None) -> Books:
        """As they stand now, also while the server runs."""
        tenant = (merchant.tenant_id,)
        with closing(sqlite3.connect(f"file:{self.folder / 'data' / 'rientro.db'}?mode=ro", uri=True)) as database:
            database.isolation_level = None
            database.execute("BEGIN")  # all of it as it was at one moment
            sales = database.execute("SELECT id, receipt_no FROM sales WHERE tenant_id = ? AND deleted = 0", tenant)
            found = sorted(sales.fetchall(), key=lambda sale: sale[1])
            assert len({number for _, number in found}) == len(found), "a number was given twice"
            stock = database.execute("SELECT stock FROM products WHERE tenant_id = ? AND id = ?", (*tenant, product))
            (left,) = stock.fetchone() or (None,)
            (rejected,) = database.execute("SELECT count(*) FROM rejected WHERE tenant_id = ?", tenant).fetchone()
        return Books(dict(found), None if left is None else Decimal(left) / 1000, rejected)


@asynccontextmanager
async def open_shop(
    folder: Path, pages: Path, merchants: int = MERCHANTS, *, stocked: bool = False
) -> AsyncIterator[Shop]:
    """Found the merchants, then serve them with a copy of those pages, which a test may change.

    `stocked`: they have the demonstration's products.
    """
    pages = Path(shutil.copytree(pages, folder / "pages"))
    found = [merchant async for merchant in _found(folder / "data", merchants, stocked=stocked)]
    arguments = ["-m", "tests.browser.serving", "--port", "{port}", f"--data={folder / 'data'}", f"--pages={pages}"]
    environment = {"RIENTRO_SIGN_IN_RATE": "0", "RIENTRO_ADDRESS_RATE": "0"}
    async with server_process(arguments, folder / "log", environment) as server:
        yield Shop(folder, server, pages, found)


async def _found(data: Path, count: int, *, stocked: bool) -> AsyncIterator[Merchant]:
    async with open_core(Settings(data=data, allow_loopback=True)) as core:
        for number in range(count):
            tenant_id = await core.admin.add_tenant(f"Bar {number}")
            person_id = await core.access.people.add(tenant_id, NewPerson("Anna", "owner", "centro"), OPERATOR)
            invite = await core.access.invites.make(tenant_id, person_id, OPERATOR)
            if stocked:
                await _stock(core, tenant_id)
            yield Merchant(tenant_id, invite.link.partition("=")[2])
