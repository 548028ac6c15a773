"""The app and the test page, built when their sources are newer than what was built.

`make test` builds the app first; whoever runs pytest alone gets it built here, once for all workers of a run.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PWA = Path(__file__).parents[2] / "pwa"
APP = PWA.parent / "server" / "static"
TEST_PAGE = PWA / "node_modules" / ".testpage"
_VITE = PWA / "node_modules" / "vite" / "bin" / "vite.js"
_SOURCES = ("src", "build", "public", "index.html", "vite.config.ts", "package-lock.json")
_ONLY_TESTED = ("testpage", "vite.testpage.config.ts")


class NotBuiltError(Exception):
    """It cannot be built here; the message says what is missing."""


def build_app() -> Path:
    """The folder of the app as it is released. Raises NotBuiltError."""
    return _build(APP, _SOURCES, ())


def build_test_page() -> Path:
    """The folder of the page that tests drive the library through. Raises NotBuiltError."""
    return _build(TEST_PAGE, (*_SOURCES, *_ONLY_TESTED), ("--config", "vite.testpage.config.ts"))


def _build(folder: Path, sources: tuple[str, ...], options: tuple[str, ...]) -> Path:
    if not _VITE.is_file() or shutil.which("node") is None:
        raise NotBuiltError("needs Node, and `npm ci` in pwa")
    with _alone():
        if _newest(sources) > _made(folder):
            command = ["node", str(_VITE), "build", "--logLevel", "error", *options]
            ended = subprocess.run(command, cwd=PWA, capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                raise NotBuiltError((ended.stdout + ended.stderr)[-4000:])
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    with (PWA / "node_modules" / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _made(folder: Path) -> float:
    built = folder / "sw.js"  # what is written last but the compressed files
    return built.stat().st_mtime if built.is_file() else 0


def _newest(sources: tuple[str, ...]) -> float:
    return max(_times(sources))


def _times(sources: tuple[str, ...]) -> Iterator[float]:
    for path in (PWA / name for name in sources):
        if path.is_file():
            yield path.stat().st_mtime
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name).stat().st_mtime for name in names)
