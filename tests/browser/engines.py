"""Three browser engines behind one small interface: Chromium and Firefox ESR by playwright, WebKitGTK by selenium.

A `Browser` has a profile on disk that outlives it, so that it can be killed and started again with what it had stored.
"""

import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import anyio
from playwright.async_api import BrowserContext, CDPSession, Error, Page, Playwright

DEADLINE_S = 60.0
"""For anything to happen: long, for it is only ever waited out by what is broken."""
CHROMIUM = Path("/usr/bin/chromium")
FIREFOX = Path("/usr/bin/firefox-esr")
_CHROMIUM_ARGUMENTS = ("--disable-features=SystemNotifications", "--disable-gpu")


async def until(probe: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `probe` gives, once that is true. Raises TimeoutError, naming what was waited for."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := await probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for: {what}; last seen: {found!r}")
        await anyio.sleep(0.02)
    return found


class Browser(ABC):
    """A browser with one tab or more; tabs are numbered from 0."""

    @abstractmethod
    async def start(self) -> None:
        """Start a process on the profile."""

    @abstractmethod
    async def open(self, url: str, tab: int = 0) -> None:
        """Load a page, in a new tab where there is none of that number."""

    @abstractmethod
    async def run(self, script: str, argument: Any = None, tab: int = 0) -> Any:
        """What an asynchronous function of one argument, as JavaScript, gives back."""

    @abstractmethod
    async def close_tab(self, tab: int) -> None:
        """Close one; those after it move up."""

    @abstractmethod
    async def close(self) -> None:
        """End it as a person would."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL all its processes."""


class Playwrighted(Browser):
    """What both of playwright's browsers have in common."""

    def __init__(self, playwright: Playwright, profile: Path) -> None:
        self.profile = profile
        self._playwright = playwright
        self._context: BrowserContext | None = None

    @property
    def context(self) -> BrowserContext:
        assert self._context is not None, "not started"
        return self._context

    @property
    def pages(self) -> list[Page]:
        return self.context.pages

    async def open(self, url: str, tab: int = 0) -> None:
        if tab >= len(self.pages):
            await self.context.new_page()
        await self.pages[tab].goto(url)

    async def run(self, script: str, argument: Any = None, tab: int = 0) -> Any:
        return await self.pages[tab].evaluate(script, argument)

    async def close_tab(self, tab: int) -> None:
        await self.pages[tab].close()

    async def close(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            with suppress(Error):  # it was killed
                await context.close()

    def kill(self) -> None:
        for pid in _processes_of(self.profile):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Chromium(Playwrighted):
    """Debian's Chromium."""

    async def start(self) -> None:
        self._context = await self._playwright.chromium.launch_persistent_context(
            self.profile,
            executable_path=CHROMIUM,
            headless=True,
            chromium_sandbox=os.getuid() != 0,
            args=list(_CHROMIUM_ARGUMENTS),
        )

    async def protocol(self, tab: int = 0) -> CDPSession:
        """Chromium's own protocol, for what playwright has no words for."""
        return await self.context.new_cdp_session(self.pages[tab])

    async def allow(self, origin: str, *names: str) -> None:
        """Grant permissions; playwright's own way denies all others, Background Sync among them."""
        protocol = await self.protocol()
        for name in names:
            permission = {"permission": {"name": name}, "setting": "granted", "origin": origin}
            await protocol.send("Browser.setPermission", permission)

    async def sync(self, origin: str, tag: str) -> None:
        """Have the worker of an origin told that there is a network again."""
        event = {"tag": tag, "lastChance": False}
        await self._event("dispatchSyncEvent", origin, event)

    async def push(self, origin: str, data: str) -> None:
        """Deliver a message; there is no push service and no subscription behind it."""
        await self._event("deliverPushMessage", origin, {"data": data})

    async def in_worker(self, script: str) -> Any:
        """What a function gives back in the worker."""
        return await self.context.service_workers[-1].evaluate(script)

    async def _event(self, method: str, origin: str, event: dict[str, Any]) -> None:
        protocol, found = await self.protocol(), list[str]()
        protocol.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda told: found.extend(one["registrationId"] for one in told["registrations"]),
        )
        await protocol.send("ServiceWorker.enable")
        while not found:
            await anyio.sleep(0.01)
        await protocol.send(f"ServiceWorker.{method}", {"origin": origin, "registrationId": found[-1], **event})


class Firefox(Playwrighted):
    """Debian's Firefox ESR."""

    preferences: ClassVar[dict[str, str | float | bool]] = {}

    async def start(self) -> None:
        self._context = await self._playwright.firefox.launch_persistent_context(
            self.profile,
            channel="moz-firefox",
            executable_path=FIREFOX,
            headless=True,
            firefox_user_prefs=self.preferences,
        )


def installed(path: Path) -> bool:
    """Whether a browser is there."""
    return shutil.which(str(path)) is not None


def _processes_of(profile: Path) -> list[int]:
    """All processes that were started with a profile's folder."""
    sought, found = str(profile).encode(), list[int]()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if sought in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
