"""A till's bad day, drawn from a seed: sales between faults of every kind; in the end nothing is lost and none doubled.

The seed decides what is done and in which order. Processes run as they will, so the same seed need not meet the same
moment again; what it does is printed with a failure, and what is checked holds whatever the moment was.
"""

import random
from collections.abc import Awaitable, Callable, Mapping

import anyio
from playwright.async_api import Error

from tests.browser.engines import until
from tests.browser.till import Till

HOURS_MS = 3_600_000


class Journey:
    """One till from its first sale to the reckoning. `told` lists what befell it."""

    def __init__(self, till: Till, seed: int) -> None:
        self.till, self.told = till, list[str]()
        self._dice = random.Random(seed)
        self._unpromised = 0

    async def run(self) -> None:
        """Live through it. Raises AssertionError where something was lost or doubled."""
        await self.till.set_up()
        for _ in range(self._dice.randint(5, 12)):
            name = self._dice.choice(sorted(_STEPS))
            self.told.append(name)
            await _STEPS[name](self)
        await self._heal()
        await self.till.balanced(unpromised=self._unpromised)

    async def sell(self) -> None:
        """A few sales."""
        await self.till.sell(self._dice.randint(1, 5))

    async def lose_answers(self) -> None:
        """Sales whose answers get lost after the commit."""
        if self.till.shop.server.runs:
            await self.till.shop.unlucky(*["drop"] * self._dice.randint(1, 4))
        await self.sell()

    async def kill_server_in_commit(self) -> None:
        """The server dies between its commit and its answer."""
        if self.till.shop.server.runs:
            await self.till.shop.unlucky("die")
        await self.sell()

    async def kill_server(self) -> None:
        """SIGKILL, whatever it was doing."""
        await self.sell()
        self.till.shop.server.kill()

    async def start_server(self) -> None:
        """It comes back, if it was gone."""
        await self._revive()
        await self.sell()

    async def restore_server(self) -> None:
        """Its data goes back to where it was; what came since is asked for again."""
        self.till.shop.server.kill()
        self.till.shop.back_up()
        await self.till.shop.server.start()
        await self._signed_in()
        await self.sell()
        await self.till.sent()
        self.till.shop.server.kill()
        self.till.shop.put_back()
        await self.till.shop.server.start()

    async def kill_browser(self) -> None:
        """SIGKILL while it sells."""

        async def sell_until_killed() -> None:
            try:
                await self.till.sell(1000)
            except Error:
                return

        wanted = len(self.till.promised) + self._dice.randint(1, 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sell_until_killed)
            while len(self.till.promised) < wanted:
                await anyio.sleep(0.002)
            self.till.browser.kill()
        self._unpromised += 1
        await self._again()

    async def restart_browser(self) -> None:
        """Closed, and opened again."""
        await self.till.browser.close()
        await self._again()

    async def two_tabs(self) -> None:
        """Two tabs sell at the same time; then the first is closed."""
        await self.till.open(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.till.sell, self._dice.randint(1, 5), 0)
            tasks.start_soon(self.till.sell, self._dice.randint(1, 5), 1)
        await self.till.browser.close_tab(0)

    async def skew_clock(self) -> None:
        """The device's clock is set to something else."""
        self.till.query = f"?skew={self._dice.randint(-12, 12) * HOURS_MS}"
        await self.till.open()
        await self.sell()

    async def _again(self) -> None:
        await self.till.browser.start()
        await self.till.open()
        await self.sell()

    async def _revive(self) -> None:
        if not self.till.shop.server.runs:
            self.till.shop.server.kill()  # what is left of it
            await self.till.shop.server.start()

    async def _heal(self) -> None:
        await self._revive()
        await self.till.shop.lucky()
        await self._signed_in()

    async def _signed_in(self) -> None:
        """A browser that was killed may have forgotten who it was: somebody signs in again."""
        state = await until(self._settled, "the till to be sent or held")
        if state == "held_signed_out":
            await self.till.call("signIn", "anna", self.till.merchant.tenant_id)

    async def _settled(self) -> str | None:
        await self._revive()  # it may have been told to die
        state = await self.till.call("state")
        return str(state["state"]) if state["state"] == "held_signed_out" or state["pending"] == 0 else None


_STEPS: Mapping[str, Callable[[Journey], Awaitable[None]]] = {
    name: getattr(Journey, name)
    for name in (
        "sell", "lose_answers", "kill_server_in_commit", "kill_server", "start_server", "restore_server",
        "kill_browser", "restart_browser", "two_tabs", "skew_clock",
    )
}  # fmt: skip
