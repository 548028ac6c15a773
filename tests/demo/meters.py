"""How far things are: counted in the clients' files, in the provider's file, and by an observer at the server.

Meters only steer the story and move the bars; what counts in the end is the checker's.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx

from tests.demo.evidence import PROVIDER_FILE
from tests.demo.observer import Observer

_EVERY_S = 0.2
_COUNTS = """SELECT count(*), count(*) FILTER (WHERE state IN ('pending', 'waiting')),
    count(*) FILTER (WHERE collection = 'sales' AND json_extract(body, '$.op') = 'create') FROM mutations"""
_BASE = """SELECT count(*) FILTER (WHERE collection = 'sales'), count(*) FILTER (WHERE collection = 'products'),
    count(*) FILTER (WHERE collection = 'invoices'), coalesce(sum(version), 0) FROM base
    WHERE side = (SELECT shown_side FROM client)"""


class TooLateError(RuntimeError):
    """Something that should have happened by now has not."""


@dataclass
class Reading:
    """One client's file."""

    made: int = 0
    open: int = 0
    rung_up: int = 0
    sales: int = 0
    products: int = 0
    invoices: int = 0
    versions: int = 0


@dataclass
class Meters:
    """Reads all meters five times a second; `shown` is told the counts."""

    folder: Path
    clients: tuple[str, ...]
    observer: Observer
    shown: Callable[[Mapping[str, int]], None]
    readings: dict[str, Reading] = field(default_factory=dict)
    provided: int = 0
    _offset: int = 0

    @property
    def rung_up(self) -> int:
        """Sales on the tills' disks."""
        return sum(one.rung_up for one in self.readings.values())

    @property
    def arrived(self) -> int:
        """Sales at the server, as far as the observer saw."""
        return sum(collection == "sales" for collection, _ in self.observer.records)

    @property
    def versions(self) -> int:
        """The sum of all versions at the server: whoever has the same has the same records."""
        return sum(record["version"] for record in self.observer.records.values())

    @property
    def delivered(self) -> int:
        """Sales that the server knows to be delivered."""
        sales = (one for (collection, _), one in self.observer.records.items() if collection == "sales")
        return sum(one["fields"]["forward_status"] == "delivered" for one in sales)

    def client(self, name: str) -> Reading:
        """One client's reading."""
        return self.readings.get(name, Reading())

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await anyio.sleep(_EVERY_S)

    async def read(self) -> None:
        """Read once."""
        self.readings = {name: read_client(self.folder / f"{name}.db") for name in self.clients}
        self._read_provider()
        with suppress(httpx.HTTPError):  # the server is down just now
            await self.observer.pull()
        counts = {"rung up": self.rung_up, "at the server": self.arrived, "at the provider": self.provided}
        self.shown(counts | {f"on {name}": one.sales for name, one in self.readings.items()})

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
        """Wait for it. Raises TooLateError."""
        with anyio.move_on_after(within_s):
            while not condition():
                await anyio.sleep(_EVERY_S / 2)
            return
        raise TooLateError(f"{what}: not within {within_s:.0f} s")

    def _read_provider(self) -> None:
        """Count what took effect, in what was added to the provider's file."""
        file = self.folder / PROVIDER_FILE
        if not file.exists():
            return
        with file.open("rb") as added:
            added.seek(self._offset)
            whole, _, _ = added.read().rpartition(b"\n")
        self._offset += len(whole) + bool(whole)
        self.provided += whole.count(b'"did": "kept"')


def read_client(file: Path) -> Reading:
    """A client's file; all zero before there is one."""
    if not file.exists():
        return Reading()
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
            return Reading(*database.execute(_COUNTS).fetchone(), *database.execute(_BASE).fetchone())
    except sqlite3.OperationalError:  # it is just being made
        return Reading()
