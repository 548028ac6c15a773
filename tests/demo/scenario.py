"""The story: a day without a network, and how all of it comes home.

Every wait has an end, and a story that does not come to its end is judged all the same: the checker says what is
missing. What goes wrong here on purpose is counted, so that the table can tell it did.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import anyio

from tests.demo.audit import list_waiting, take_audit
from tests.demo.check import PROVIDER, SERVER, check
from tests.demo.evidence import read_evidence
from tests.demo.goods import PRODUCTS, ids_by_first_name
from tests.demo.meters import TooLateError
from tests.demo.narrator import Narrator
from tests.demo.outside import BODIES, Kiosk, tell_of_invoices
from tests.demo.rows import Row, same
from tests.demo.stage import CLIENTS, PHONE, TILLS, VOID_EVERY, Plan, Stage, open_stage
from tests.support.processes import ProcessEndedError

_GOODS = len(PRODUCTS) + 1
_EDITS = 2
_INTERMEDIARY_DOWN_S = 4
_LATEST_S = 180
_ENDED = "yes"


class Killable(Protocol):
    """A process."""

    def kill(self) -> None:
        """SIGKILL."""


async def run(plan: Plan, folder: Path, narrator: Narrator) -> list[Row]:
    """Play it and give the table."""
    totals = {"rung up": plan.total, "at the server": plan.sales_in_all, "at the provider": plan.deliveries}
    with narrator.bars(totals | {f"on {name}": plan.sales_in_all for name in CLIENTS}):
        async with open_stage(plan, folder, narrator) as stage:
            story = Story(stage)
            try:
                await story.play()
            except* TooLateError as late:
                narrator.say(f"[red]too late: {_first(late)}[/red]")
            narrator.chapter("The books")
            narrator.say("an auditor pulls everything by the public API, and asks for every verdict again")
            await take_audit(stage)
            ends = await story.close()
    return [*check(read_evidence(folder, story.wrong()), plan.sales), same("Ended when asked to", _ENDED, ends)]


class Story:
    """One telling of it."""

    def __init__(self, stage: Stage) -> None:
        """Nothing has happened yet."""
        self._stage, self._plan, self._meters = stage, stage.plan, stage.meters
        self._say, self._chapter = stage.narrator.say, stage.narrator.chapter
        self._killed: Counter[str] = Counter()

    async def play(self) -> None:
        """From the morning to the evening. Raises TooLateError."""
        await self._open_shop()
        await self._sell_offline()
        await self._come_home()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hear_from_outside)
            await self._weather_the_provider()
        await self._settle()

    async def _open_shop(self) -> None:
        self._chapter("Morning: the network is there")
        self._stage.clients[PHONE].tell(do="stock")
        await self._until(lambda: all(self._meters.client(name).products == len(PRODUCTS) for name in CLIENTS),
                          "the goods on every client")  # fmt: skip
        self._say("the owner's phone makes the goods and a customer; both tills have them")

    async def _sell_offline(self) -> None:
        self._chapter("Day: no network")
        self._stage.shop_line.go_down()
        for name in TILLS:
            self._stage.clients[name].tell(do="sell", sales=self._plan.sales, void_every=VOID_EVERY)
        self._stage.clients[PHONE].tell(do="edit")
        self._say(f"each till rings up {self._plan.sales} sales and voids some; the phone renames a product and notes "
                  "something about a customer")  # fmt: skip
        made = self._plan.sales + self._plan.voids // len(TILLS)
        await self._until(lambda: all(self._meters.client(name).made == made for name in TILLS), "the tills' sales")
        await self._until(lambda: self._meters.client(PHONE).made == _GOODS + _EDITS, "the phone's edits")
        waiting = sum(self._meters.client(name).open for name in CLIENTS)
        self._say(f"{waiting:,} mutations wait on three disks, none has left")

    async def _come_home(self) -> None:
        self._chapter("Evening: a network that comes and goes")
        self._stage.shop_line.come_back(rough=True)
        self._stage.provider_line.come_back(rough=True)
        self._say("it is back, and loses one request and three answers in twelve, after they took effect")
        await self._arrived(0.15)
        await self._kill_server("the server is killed (SIGKILL) in the middle of it, and started again")
        await self._arrived(0.3)
        await self._kill_till()
        await self._arrived(0.5)
        self._stage.shop_line.go_down()
        self._say("the network is gone again, for two seconds")
        await anyio.sleep(2)
        self._stage.shop_line.come_back(rough=True)
        lost = self._stage.provider_line.counts
        await self._until(
            lambda: bool(lost["lose_request"] and lost["lose_answer"]), "an answer of the provider's lost"
        )
        await self._arrived(0.7)
        self._stage.provider_line.go_down()
        self._say("the provider is out of reach from now on: what should go there waits")
        await self._kill_server("the server is killed a second time, and started again")
        await self._arrived(1)
        self._say("all sales are at the server")

    async def _weather_the_provider(self) -> None:
        self._chapter("Night: a provider in trouble, and news from outside")
        few, before = max(self._plan.sales // 25, 2), self._meters.provided
        await self._stage.provider.script(
            {"do": "status", "status": 503, "times": few},
            {"do": "stall", "seconds": 3, "times": 2},
            {"do": "nothing wrong", "times": few},
            {"do": "throttle", "seconds": 3},
            {"do": "nothing wrong", "times": few},
            {"do": "throttle", "seconds": 2, "form": "date"},
            {"do": "drop", "times": few},
        )
        self._stage.provider_line.come_back(rough=False)
        self._say(
            "the provider is back: it answers 503, then too late, then 429 with Retry-After, twice; at last it takes "
            "what it gets and hangs up"
        )
        enough = min(before + 2 + 3 * few, self._plan.deliveries)
        await self._until(lambda: self._meters.provided >= enough, "the provider's troubles")
        self._say("the provider has recovered")

    async def _hear_from_outside(self) -> None:
        stage, records = self._stage, self._meters.observer.records
        names = {key[1]: one["fields"]["name"] for key, one in records.items() if key[0] == "products"}
        kiosk = Kiosk(stage.folder, stage.webhooks["pos"], self._plan.seed, ids_by_first_name(names))
        taken, refused = await kiosk.sell(), await kiosk.forge()
        self._say(f"a kiosk tells of its sale twice {_answered(taken)}; somebody forges another {_answered(refused)}")
        told = await tell_of_invoices(stage.intermediary, stage.webhooks["sdi"])
        self._kill("sdi", stage.intermediary.process)
        self._say(
            f"the intermediary tells twice {_answered(told)} of a file with {BODIES} invoices, and is killed before "
            "anybody can fetch it"
        )
        await anyio.sleep(_INTERMEDIARY_DOWN_S)
        await stage.intermediary.process.start()
        self._say("the intermediary is back")

    async def _settle(self) -> None:
        await self._until(lambda: self._meters.provided >= self._plan.deliveries, "everything at the provider")
        self._say("everything is at the provider")
        await self._until(lambda: self._meters.client(PHONE).invoices >= BODIES, "three invoices on the phone")
        self._say("the invoices are on the phone")
        await self._deliveries_settled()
        await self._until(self._all_alike, "every client like the server")
        self._say("every client has what the server has")

    async def _deliveries_settled(self) -> None:
        """Wait until the server knows all that the provider does."""
        await self._until(
            lambda: self._meters.delivered == self._plan.sales_in_all, "every sale told that it was delivered"
        )
        deadline = anyio.current_time() + _LATEST_S
        while count := len(await list_waiting(self._stage.installation, self._stage.tenant_id)):
            if anyio.current_time() > deadline:
                raise TooLateError(f"{count} deliveries wait still")
            self._say(f"to be settled at the server: {count} of the deliveries")

    async def close(self) -> Mapping[str, str]:
        """Ask everybody to end, the server first, while clients hold on to it; who did."""
        ends = {SERVER: _ENDED}
        try:
            await self._stage.server.stop()
        except ProcessEndedError:
            ends[SERVER] = "killed"
        for name, client in self._stage.clients.items():
            status = await client.stop()
            ends[name] = _ENDED if status == 0 else str(status or "killed")
        return ends

    def _all_alike(self) -> bool:
        versions = self._meters.versions
        return all(one.open == 0 and one.versions == versions for one in self._meters.readings.values())

    def wrong(self) -> Mapping[str, Mapping[str, int]]:
        """What was made to go wrong, by name and place."""
        lines = {SERVER: self._stage.shop_line.counts, PROVIDER: self._stage.provider_line.counts}
        return {
            "Requests lost on the line": {place: counts["lose_request"] for place, counts in lines.items()},
            "Answers lost on the line": {
                place: counts["lose_answer"] + counts["cut_answer"] for place, counts in lines.items()
            },
            "Killed (SIGKILL)": self._killed,
        }

    async def _arrived(self, share: float) -> None:
        count = int(self._plan.total * share)
        await self._until(lambda: self._meters.arrived >= count, f"{count} sales at the server")

    async def _kill_server(self, told: str) -> None:
        self._kill(SERVER, self._stage.server)
        self._say(told)
        await self._stage.server.start()

    async def _kill_till(self) -> None:
        name, till = TILLS[1], self._stage.clients[TILLS[1]]
        self._kill(name, till)
        self._say(f"{name} is killed (kill -9), and started again on its file")
        await anyio.sleep(1)
        till.start()

    def _kill(self, place: str, process: Killable) -> None:
        process.kill()
        self._killed[place] += 1

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        await self._meters.until(condition, what, _LATEST_S)


def _answered(statuses: Sequence[int]) -> str:
    return f"({', '.join(map(str, statuses))})"


def _first(error: BaseException) -> BaseException:
    """Task groups wrap what went wrong inside them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
