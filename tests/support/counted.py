"""The application in a process of its own, with one more route that tells what it costs: `GET /costs`.

Run as `python -m tests.support.counted PORT`. The database is the real one behind a counter; nothing else differs.
"""

import resource
import sys
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.app import core, create_app
from server.ops.logs import set_up_logs
from server.settings import Settings
from server.storage.open import open_database
from tests.support.counted_database import CountedDatabase

_databases: list[CountedDatabase] = []


async def costs(_request: Request) -> Response:
    """Reads so far, memory in KiB, and open files (connections among them)."""
    return JSONResponse({"reads": sum(one.reads for one in _databases), **_process()})


def _process() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"kib": pages * resource.getpagesize() // 1024, "files": len(list(Path("/proc/self/fd").iterdir()))}


def _counted(url: str) -> CountedDatabase:
    _databases.append(CountedDatabase(open_database(url)))
    return _databases[-1]


def main() -> None:
    """Serve until told to stop."""
    core.open_database = _counted  # type: ignore[attr-defined]
    set_up_logs("INFO")
    app = create_app(Settings(), migrate=False)
    app.routes.append(Route("/costs", costs))
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
