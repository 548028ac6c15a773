"""One log line a request: method, path, status, duration; no query, body or header, which may hold what is private."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log: structlog.stdlib.BoundLogger = structlog.get_logger("rientro.access")


class AccessLog:
    """Logs requests, health checks apart."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and tell how it ended."""
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            spent = round((time.perf_counter() - started) * 1000, 2)
            log.info("request", method=scope["method"], path=scope["path"], status=status, ms=spent)
