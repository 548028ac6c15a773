"""A provider that takes all at once: measured beside it is the sender. `python -m benchmarks.sink PORT`."""

import sys
from typing import Any

import uvicorn

_HEADERS = [(b"content-type", b"application/json")]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the whole request and say that it was taken."""
    more = scope["type"] == "http"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b'{"reference": "taken"}'})


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="off", loop="uvloop", http="httptools")
