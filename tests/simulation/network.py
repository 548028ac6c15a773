"""The network: what is on its way, and what becomes of it: some is lost, or comes twice, late, out of order."""

import json
from typing import TYPE_CHECKING, Any

import anyio

from sync.client.taking import Taken
from sync.clock import encode_instant
from tests.simulation.device import Device, Exchange
from tests.simulation.ledger import Moment
from tests.simulation.models import GROWN
from tests.simulation.server import Reply

if TYPE_CHECKING:
    from tests.simulation.world import World

_MAX_AHEAD_MS = 5 * 60 * 1000  # the protocol's figure, not the server's
_MOST_UNDER_WAY = 3  # of one device: two processes may share its file, and one gave up waiting


class Network:
    """Requests on their way up, answers on their way down; which arrives next is the world's chance."""

    def __init__(self, world: "World") -> None:
        self._world = world
        world.ledger.lift = self._lifted
        self.up: list[Exchange] = []
        self.down: list[tuple[Exchange, Reply]] = []

    def send(self, device: Device) -> str:
        """A device sends its next request."""
        if device in self._world.asleep:
            return f"{device.name} sleeps"
        under_way = sum(exchange.device is device for exchange in [*self.up, *(one for one, _ in self.down)])
        if under_way >= _MOST_UNDER_WAY:
            return f"{device.name} waits"
        exchange = device.send()
        self.up.append(exchange)
        return f"{device.name} sends {len(exchange.outgoing.mutations)}"

    async def arrive(self) -> str:
        """A request reaches the server, or is lost, or stays to come once more."""
        place = self._place(len(self.up))
        exchange = self.up[place]
        if self._chance(self._world.day.loss):
            del self.up[place]
            return f"a request of {exchange.device.name} is lost"
        doubled = self._chance(self._world.day.doubling)
        if not doubled:
            del self.up[place]
        reply = await self.serve(exchange)
        lost = self._chance(self._world.day.loss)
        if not lost:
            self.down.append((exchange, reply))
        fate = " doubled" * doubled + ", its answer lost" * lost
        return f"a request of {exchange.device.name} arrives{fate}: {_told(reply)}"

    async def arrive_together(self) -> str:
        """Two requests reach the server at once and share a transaction."""
        pair = [self.up.pop(self._place(len(self.up))) for _ in range(2)]
        replies: dict[int, Reply] = {}

        async def one(number: int, exchange: Exchange) -> None:
            replies[number] = await self.serve(exchange)

        async with anyio.create_task_group() as tasks:
            for number, exchange in enumerate(pair):
                tasks.start_soon(one, number, exchange)
        for number in sorted(replies):
            self.down.append((pair[number], replies[number]))
        names = " and ".join(exchange.device.name for exchange in pair)
        return f"requests of {names} arrive together: {', '.join(_told(replies[n]) for n in sorted(replies))}"

    def deliver(self) -> str:
        """An answer reaches its device, and perhaps a second time."""
        place = self._place(len(self.down))
        exchange, reply = self.down[place]
        if not self._chance(self._world.day.doubling):
            del self.down[place]
        taken = exchange.device.take(exchange, reply)
        return f"{exchange.device.name} takes {_told(reply)}: {'nothing' if taken is None else tuple(taken)}"

    async def exchange(self, device: Device) -> tuple[Exchange, Taken | None]:
        """One request and its answer on a network that works."""
        exchange = device.send()
        reply = await self.serve(exchange)
        return exchange, device.take(exchange, reply)

    async def serve(self, exchange: Exchange) -> Reply:
        """The server's answer, noted in the ledger with what it brought to an end."""
        reply = await self._world.server.answer(exchange.device.principal, exchange.body)
        document = reply.document()
        verdicts = document.get("verdicts", ())
        sent = [self._lifted(json.loads(text)) for text in exchange.outgoing.mutations] if verdicts else []
        at = self._moment(document.get("epoch"), json.loads(exchange.body).get("epoch"))
        self._world.ledger.answered(exchange.outgoing.client_id, sent, verdicts, at)
        await self.note_ends()
        return reply

    def clear(self) -> None:
        """All that is under way is lost."""
        self.up.clear()
        self.down.clear()

    async def note_ends(self) -> None:
        """What waited for a record that came is judged in the transaction that brought it, after what brought it."""
        ledger = self._world.ledger
        for uid, verdict in (await self._world.server.ends_of(ledger.waiting())).items():
            expired = verdict["code"] == "unknown_record"
            if verdict["status"] != "waiting" and (expired or ledger.created(ledger.told[uid].key)):
                ledger.ended(uid, verdict, self._moment(None))

    def _lifted(self, mutation: dict[str, Any]) -> dict[str, Any]:
        """What an old app meant, in today's words; the later server understands it so."""
        fields = mutation.get("fields", {})
        if self._world.server.grown and mutation["schema"] < GROWN and "title" in fields:
            return {**mutation, "fields": {**fields, "title": fields["title"].rstrip("!")}}
        return mutation

    def _moment(self, epoch: str | None, asked_in: str | None = None) -> Moment:
        return Moment(encode_instant(self._world.server_ms() + _MAX_AHEAD_MS), epoch, asked_in)

    def _place(self, among: int) -> int:
        return self._world.random.randrange(among) if self._chance(self._world.day.disorder) else 0

    def _chance(self, share: float) -> bool:
        return self._world.random.random() < share


def _told(reply: Reply) -> str:
    document = reply.document()
    if reply.status != 200:
        return f"{reply.status} {document.get('code')}"
    verdicts = ",".join(f"{v['mutation_id']}:{v['status']}{'*' * v['duplicate']}" for v in document["verdicts"])
    reset = " reset" * document["reset"]
    old = " too old" * document.get("too_old", False)
    return f"[{verdicts}] {len(document['changes'])} changes{reset}{old}{' more' * document['more']}"
