"""The world of one seed: a clock, chance, a server, devices, the network between them, and the day they live through.

Nothing in it is real time and nothing is random but by the seed: the same seed gives the same trace.
"""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio.abc

from server.ports import Principal
from server.storage.database import Database, DatabaseError
from sync.client import Options
from sync.clock import encode_instant
from sync.outcome import Outcome
from sync.protocol import Mutation, verdict
from tests.simulation.acting import SHOPS
from tests.simulation.device import FIRST, Device
from tests.simulation.ledger import Ledger, Told
from tests.simulation.models import GROWN
from tests.simulation.nemesis import Nemesis
from tests.simulation.network import Network
from tests.simulation.people import act, add_errand, add_product, tastes
from tests.simulation.server import Server
from tests.simulation.standing import require
from tests.simulation.storage import Disk, InlineSqlite
from tests.support.shop import START_MS, Ids

COLLECTIONS = ("sales", "products", "customers", "errands", "conflicts")
_CAST = (
    ("cassa-1", "terminal", "centro"),
    ("banco", "clerk", "centro"),
    ("ufficio", "owner", "mare"),
    ("magazzino", "clerk", "mare"),
    ("cassa-2", "terminal", "mare"),
)
Step = Callable[[], Awaitable[str]]
"""Something that happens, and says what it was."""

_KNOWN_SHARE = 0.7
_MOST_SWEEPS = 40
_MOST_EXCHANGES = 400


class Opening(Protocol):
    """Opens the server's database, as every new process does."""

    def __call__(self) -> Database: ...


@dataclass
class Day:
    """What a seed draws first: how long the day is, how bad the network, and what people like to do.

    `blind` is how often they act on what they only heard of, `rests` how often all comes to rest and begins again.
    """

    steps: int
    loss: float
    doubling: float
    disorder: float
    blind: float
    rests: float
    tastes: dict[str, float]


@dataclass
class World:
    """Everything of one seed. `disk` is None where the server's database is no file."""

    seed: int
    folder: Path
    opening: Opening
    disk_or_none: Disk | None
    nemeses: list[Nemesis]
    tasks: anyio.abc.TaskGroup
    most_steps: int | None = None
    trace: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    backups: list[tuple[bytes, dict[str, Told]]] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    most_devices: int = 5
    device_backups: dict[Device, tuple[bytes, set[str]]] = field(default_factory=dict)
    asleep: set[Device] = field(default_factory=set)
    ms: int = START_MS
    server_skew_ms: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.ids = Ids(self.seed)
        self.network = Network(self)
        self.server = Server(self.tasks, self.opening, self.server_ms, self.ids)
        draw = self.random.random
        steps, weather = self.random.randint(20, 90), (draw() * 0.4, draw() * 0.3, draw())
        self.day = Day(steps, *weather, draw() * 0.3, draw() * 0.04, tastes(self.random))
        if self.most_steps is not None:
            self.day.steps = min(self.day.steps, self.most_steps)

    @property
    def disk(self) -> Disk:
        """The server's file."""
        assert self.disk_or_none is not None, "this server's database is no file"
        return self.disk_or_none

    @property
    def can_group(self) -> bool:
        """Whether two requests at once end the same way every time."""
        return self.disk_or_none is not None

    def server_ms(self) -> int:
        """The server's own clock."""
        return self.ms + self.server_skew_ms

    def server_text(self) -> str:
        """The same as wire text."""
        return encode_instant(self.server_ms())

    async def begin(self) -> None:
        """The server is there, and some of the cast."""
        self.server.start()
        await self.server.found()
        cast = [_CAST[0], *self.random.sample(_CAST[1:], self.random.randint(1, 3))]
        for name, role, shop in cast:
            shops = frozenset(SHOPS if role == "owner" else (shop,))
            self._add(name, Principal(self.server.tenant_id, self.ids(), role, shop, shops))
        for device in self.devices * 2:
            if device.principal.role != "terminal":
                add = self.random.choice((add_product, add_product, add_errand))
                self.note(f"{device.name}: {add(self, device)}")
        if self.random.random() < _KNOWN_SHARE:
            await self.quiesce()  # most days begin with what everybody knows

    def clone(self, original: Device) -> Device:
        """A second device with a copy of the first one's database."""
        path = self.folder / f"{original.name}-{len(self.devices)}.db"
        path.write_bytes(original.content())
        original.copied = True
        copy = self._add(original.name, original.principal, path, original.schema)
        copy.copied = True
        return copy

    async def step(self) -> None:
        """One thing happens, of those that can."""
        self.ms += self.random.choice((1, 20, 500, 3_000, 40_000))
        if self.random.random() < self.day.rests:
            await self.quiesce()
            self.note("and begin again")
            return
        up, down = len(self.network.up), len(self.network.down)
        steps: list[tuple[Step, int]] = [
            (self._act, 12),
            (self._send, 7),
            (self._deliver, 7 * (down > 0)),
            (self.network.arrive, 7 * (up > 0)),
            (self.network.arrive_together, 2 * (up > 1 and self.can_group)),
            (self._strike, 3 * bool(self.nemeses)),
        ]
        chosen = self.random.choices([step for step, _ in steps], [weight for _, weight in steps])[0]
        self.note(await chosen())

    async def quiesce(self) -> None:
        """The faults end; every queue is drained and every device pulls until nobody hears anything new.

        Whoever sleeps is left alone.
        """
        self.note("the faults end")
        self.network.clear()
        for device in self.devices:
            if self.server.grown and device.schema < GROWN:
                device.update(GROWN)
        self.refuse()
        for _ in range(_MOST_SWEEPS):
            news = [await self._drain(device) for device in self.devices if device not in self.asleep]
            if not any(news):
                return
        require("settles", condition=False, message=f"still news after {_MOST_SWEEPS} sweeps")

    def refuse(self, *errors: DatabaseError) -> None:
        """Let the server's next commits fail; without any, let them be."""
        database = self.server.process.database
        if isinstance(database, InlineSqlite):
            database.refusals.clear()
            database.refusals.extend(errors)

    def wrote(self, author: str, mutation: Mutation, outcome: Outcome, version: int) -> None:
        """Note what the server wrote of its own, and the version its record has now."""
        told = verdict(0, mutation["uid"], outcome.status, version=version, superseded=list(outcome.superseded))
        self.ledger.told[mutation["uid"]] = Told(author, mutation, told, self.server_text(), self.ledger.epoch)

    def note(self, line: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{len(self.trace):3d} {self.ms - START_MS:>9} ms  {line}")

    def close(self) -> None:
        """Close the devices' databases."""
        for device in self.devices:
            device.store.close()

    async def _drain(self, device: Device) -> bool:
        """Sync until nothing is left to send or to hear; whether there was news."""
        news = False
        for _ in range(_MOST_EXCHANGES):
            self.ms += 50
            exchange, taken = await self.network.exchange(device)
            require("settles", taken is not None, f"{device.name} was refused")
            assert taken is not None
            news = news or taken.verdicts > 0 or taken.changes > 0 or taken.renumbered
            quiet = not exchange.outgoing.mutations and exchange.outgoing.starts_round
            if quiet and not (taken.more or taken.renumbered):
                return news
        require("settles", condition=False, message=f"{device.name} does not get on")
        return news

    async def _act(self) -> str:
        weights = [1 if device.principal.role == "terminal" else 2 for device in self.devices]
        device = self.random.choices(self.devices, weights)[0]
        return f"{device.name}: {act(self, device)}"

    async def _send(self) -> str:
        return self.network.send(self.random.choice(self.devices))

    async def _deliver(self) -> str:
        return self.network.deliver()

    async def _strike(self) -> str:
        return await self.random.choice(self.nemeses).strike(self)

    def _add(self, name: str, principal: Principal, path: Path | None = None, schema: int = FIRST) -> Device:
        path = path or self.folder / f"{name}.db"
        batch, page = self.random.randint(2, 8), self.random.choice((1, 3, 8, 50))
        options = Options(COLLECTIONS, batch, page, schema=schema)
        actors = ("anna", "bruno") if principal.role == "terminal" else ()
        device = Device(
            name, principal, path, lambda: self.ms, options, self.random.randbytes, actors=actors, schema=schema
        )
        self.devices.append(device)
        return device
