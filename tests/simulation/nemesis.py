"""Nemeses: what befalls devices and server beside the network. Each is a small class; a seed has some of them.

A nemesis strikes between two steps. What it does to the world's history it does to the ledger, too.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from server.storage.database import DatabaseError
from sync.protocol import Mutation
from tests.simulation.acting import SHOPS, WORDS
from tests.simulation.models import GROWN

if TYPE_CHECKING:
    from tests.simulation.world import World

MINUTE_MS = 60_000


class Nemesis(ABC):
    """Something that strikes. `name` is what traces call it; `files` says that it needs the server's file."""

    name: ClassVar[str]
    files: ClassVar[bool] = False

    @abstractmethod
    async def strike(self, world: "World") -> str:
        """Do it, and say what was done."""


class Crash(Nemesis):
    """A device's or the server's process dies between two steps."""

    name = "crash"

    async def strike(self, world: "World") -> str:
        if world.random.random() < 0.4:
            await world.server.restart()
            return "the server crashes"
        device = world.random.choice(world.devices)
        device.crash()
        return f"{device.name} crashes"


class Clocks(Nemesis):
    """A clock is wrong, or put right: a little, by hours, or days; the server's, too."""

    name = "clocks"

    async def strike(self, world: "World") -> str:
        far = world.random.choice((1, 7, 60, 60 * 24 * 3))
        skew = world.random.randint(-far, far) * MINUTE_MS
        if world.random.random() < 0.2:
            world.server_skew_ms = skew
            return f"the server's clock is off by {skew} ms"
        device = world.random.choice(world.devices)
        device.skew_ms = skew
        return f"the clock of {device.name} is off by {skew} ms"


class Clone(Nemesis):
    """A device's database is copied to a second device, and both go on."""

    name = "clone"

    async def strike(self, world: "World") -> str:
        original = world.random.choice(world.devices)
        if len(world.devices) >= world.most_devices or original in world.asleep:
            return "no room for a clone"
        copy = world.clone(original)
        return f"{original.name} is copied to {copy.path.name}"


class SetBack(Nemesis):
    """A device is restored from its own old backup: what it made since is lost with it."""

    name = "set_back"

    async def strike(self, world: "World") -> str:
        device = world.random.choice(world.devices)
        kept = world.device_backups.pop(device, None)
        journal = {entry.uid for entry in device.store.entries()}
        if kept is None:
            world.device_backups[device] = (device.content(), journal)
            return f"{device.path.name} is backed up"
        content, before = kept
        device.replace(content)
        world.ledger.lost |= journal - before
        return f"{device.path.name} is set back, {len(journal - before)} mutations lost"


class DiskTrouble(Nemesis):
    """The database refuses the next commit or two: full for a moment, or for no reason at all."""

    name = "disk"
    files = True

    async def strike(self, world: "World") -> str:
        passing = world.random.random() < 0.5
        times = world.random.randint(1, 2)
        world.refuse(*(DatabaseError("simulated", transient=passing) for _ in range(times)))
        return f"the database refuses {times} commits, {'in passing' if passing else 'without a reason'}"


class ServerWrites(Nemesis):
    """A provider's news: the server writes to records that people write to."""

    name = "server_writes"

    async def strike(self, world: "World") -> str:
        collection = world.random.choice(("sales", "products"))
        known = world.known[collection]
        if not known:
            return "the server has nothing to write to"
        fields = {"forward_status": "delivered"} if collection == "sales" else {"category": world.random.choice(WORDS)}
        mutation = Mutation(
            mutation_id=1,
            uid=world.ids(),
            op="update",
            collection=collection,
            record_id=world.random.choice(known),
            timestamp=world.server_text(),
            fields=fields,
        )
        try:
            outcome = (await world.server.write("system:simulated", mutation))[0]
        except DatabaseError:
            return "the server wants to write, and its database refuses"
        version = await world.server.version(collection, mutation["record_id"])
        world.wrote("system:simulated", mutation, outcome, version)
        return f"the server writes {fields} to {mutation['record_id'][-6:]}: {outcome.status}"


class Scopes(Nemesis):
    """A device sees another shop from now on, or no longer."""

    name = "scopes"

    async def strike(self, world: "World") -> str:
        device = world.random.choice(world.devices)
        own = {device.principal.shop}
        shops = frozenset(own if len(device.principal.shops) > 1 else {*SHOPS})
        for one in world.devices:
            if one.principal.device_id == device.principal.device_id:
                one.principal = one.principal._replace(shops=shops)
        return f"{device.name} sees {', '.join(sorted(shops))} from now on"


class Deploy(Nemesis):
    """A later version of the server; then the apps follow, one by one. What old ones queue is lifted."""

    name = "deploy"

    async def strike(self, world: "World") -> str:
        if not world.server.grown:
            await world.server.deploy()
            return "a later version of the server is deployed"
        device = world.random.choice(world.devices)
        if device.schema < GROWN:
            device.update(GROWN)
        return f"the app of {device.name} is up to date"
