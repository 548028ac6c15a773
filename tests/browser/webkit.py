"""WebKitGTK, what stands nearest to an iPhone here: driven by selenium through its own driver, on a display of its own.

Its sessions keep nothing on disk, so this browser cannot be killed and started again with what it had stored.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
from selenium.webdriver import WebKitGTK, WebKitGTKOptions
from selenium.webdriver.webkitgtk.service import Service

from tests.browser.engines import DEADLINE_S, Browser
from tests.support.processes import dying_with_parent

DRIVER = Path("/usr/bin/WebKitWebDriver")
XVFB = Path("/usr/bin/Xvfb")
_BROWSERS = ("webkit2gtk-4.1", "webkit2gtk-4.0")
_ASYNC = """const done = arguments[1];
({script})(arguments[0]).then((given) => done({ given: given ?? null }), (error) => done({ error: String(error) }));"""


def mini_browser() -> Path | None:
    """The small browser that comes with the library."""
    found = [path for name in _BROWSERS for path in Path("/usr/lib").glob(f"*/{name}/MiniBrowser")]
    return found[0] if found and DRIVER.is_file() and XVFB.is_file() else None


@contextmanager
def display() -> Iterator[str]:
    """An X display nobody sees; its number is its own choice."""
    reading, writing = os.pipe()
    command = [str(XVFB), "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        command,
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
        preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


class WebKit(Browser):
    """One session of it."""

    def __init__(self, program: Path, shown_on: str) -> None:
        self._program, self._display = program, shown_on
        self._driver: WebKitGTK | None = None

    async def start(self) -> None:
        options = WebKitGTKOptions()
        options.binary_location = str(self._program)
        options.add_argument("--automation")
        options.set_capability("browserName", "MiniBrowser")
        environment = {**os.environ, "DISPLAY": self._display, "NO_AT_BRIDGE": "1"}
        service = Service(str(DRIVER), env=environment)
        self._driver = await anyio.to_thread.run_sync(lambda: WebKitGTK(options=options, service=service))
        self._driver.set_script_timeout(DEADLINE_S)

    async def open(self, url: str, tab: int = 0) -> None:
        assert tab == 0, "one tab"
        await anyio.to_thread.run_sync(self._running().get, url)

    async def run(self, script: str, argument: Any = None, tab: int = 0) -> Any:
        answer = await anyio.to_thread.run_sync(
            lambda: self._running().execute_async_script(_ASYNC.replace("{script}", script), argument)
        )
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["given"]

    async def close_tab(self, tab: int) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            await anyio.to_thread.run_sync(driver.quit)

    def kill(self) -> None:
        raise NotImplementedError

    def _running(self) -> WebKitGTK:
        assert self._driver is not None, "not started"
        return self._driver
