"""The server's process, whose answers can be told to get lost, and whose life to end.

    python -m tests.browser.serving --data <folder> --port <port> --pages <folder>

It is the real application on the real uvicorn. Around it stands `Unlucky`: after the application has answered, and so
committed, the answer is dropped, or the process is killed, as often as `POST /test/unlucky` asked for.
"""

import argparse
import json
import os
import signal
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.app import create_app
from server.cli.serving import _run
from server.ops.logs import set_up_logs
from server.settings import Settings

_PLACE = "/test/unlucky"


class Unlucky:
    """What befalls the next answers of `/v1/sync`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._fates = app, list[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == _PLACE:
            asked = json.loads((await receive())["body"])
            self._fates = [] if asked is None else [*self._fates, *asked]
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})
        elif scope["path"] == "/v1/sync" and self._fates:
            await self._lose(self._fates.pop(0), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _lose(self, fate: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Have it committed; then tell nobody."""

        async def nowhere(_message: Message) -> None:
            pass

        await self._app(scope, receive, nowhere)
        if fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    asked = parser.parse_args()
    settings = Settings(data=asked.data, allow_loopback=True)
    set_up_logs(settings.log_level)
    _run(Unlucky(create_app(settings, built=asked.pages)), settings, "127.0.0.1", asked.port)


if __name__ == "__main__":
    main()
