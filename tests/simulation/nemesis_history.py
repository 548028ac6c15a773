"""Nemeses of history: the server's file set back, in all ways that happens, and what a long time collects."""

from typing import TYPE_CHECKING, ClassVar

from tests.simulation.nemesis import MINUTE_MS, Nemesis
from tests.simulation.people import add_errand, delete
from tests.simulation.reading import read_server
from tests.simulation.server import RETENTION_MS

if TYPE_CHECKING:
    from tests.simulation.world import World

PUT_OFF = "the server's file is left alone while somebody sleeps"
"""Who sleeps through a new epoch and then through the retention sends a journal whose verdicts are gone: see Open."""


async def copied(world: "World") -> str:
    """Copy the server's file."""
    world.backups.append((world.disk.copy(), world.ledger.copy()))
    return "the server's file is copied"


class Backup(Nemesis):
    """The server's file is copied; later an old copy comes back, and a new epoch is declared."""

    name = "declared_restore"
    files = True
    declared: ClassVar[bool] = True
    how: ClassVar[str] = "set back and an epoch declared"

    async def strike(self, world: "World") -> str:
        if not world.backups or world.random.random() < 0.5:
            return await copied(world)
        if world.asleep:
            return PUT_OFF
        content, told = world.random.choice(world.backups)
        await self._go_back(world, content)
        world.ledger.restore(told)
        if self.declared:
            await world.server.declare_epoch()
        return f"the server's file is {self.how}"

    async def _go_back(self, world: "World", content: bytes) -> None:
        await world.server.stop()
        world.disk.restore(content)
        world.server.start()


class Rewind(Backup):
    """The same, and nobody says so."""

    name = "rewind"
    declared = False
    how = "set back"


class LiveRewind(Rewind):
    """An old file is put in the place of the one the server has open."""

    name = "live_rewind"
    how = "replaced under it"

    async def _go_back(self, world: "World", content: bytes) -> None:
        world.disk.replace(content)


class Winter(Nemesis):
    """Some devices are put away; a winter later the server has collected what is too old, and they wake.

    What was sent is answered before: a verdict is promised for the retention and no longer. Backups of before are gone.
    """

    name = "winter"

    async def strike(self, world: "World") -> str:
        await world.quiesce()
        if not world.asleep:
            world.device_backups.clear()
            chosen = world.random.sample(world.devices, world.random.randint(1, len(world.devices)))
            world.asleep.update(chosen)
            return f"{', '.join(device.name for device in chosen)} are put away"
        await self._autumn(world)
        world.ms += RETENTION_MS + world.random.randint(5, 20) * 24 * 60 * MINUTE_MS
        world.device_backups.clear()
        world.backups.clear()
        before = await read_server(world.server.process.database, world.server.tenant_id)
        collected = await world.server.tidy()
        after = await read_server(world.server.process.database, world.server.tenant_id)
        world.ledger.forgotten |= before.mutations.keys() - after.mutations.keys()
        world.ledger.let_go += [lost for lost in before.superseded if lost not in after.superseded]
        await world.network.note_ends()
        world.asleep.clear()
        return f"a winter later {sum(collected.values())} rows are collected"

    async def _autumn(self, world: "World") -> None:
        """Whoever is awake deletes something, and goes on for more than a minute: so it comes to lie before a mark."""
        awake = [one for one in world.devices if one not in world.asleep and one.principal.role != "terminal"]
        for device in awake:
            for act in (delete, delete, add_errand):
                world.note(f"{device.name}: {act(world, device)}")
                world.ms += 2 * MINUTE_MS
                await world.quiesce()
