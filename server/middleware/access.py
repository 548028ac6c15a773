"""One log line a request: method, path, status, duration; no query, body or header, which may hold what is private.

Nor the secret part of an address that hints come to. Requests are counted by their route as it was declared, never by
the path that came: whoever asks must not be able to make up new series.
"""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import meters

log: structlog.stdlib.BoundLogger = structlog.get_logger("rientro.access")

_QUIET = ("/health/", "/metrics")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


_SECRET_PART = re.compile(r"(?<=/v1/webhooks/)([^/]*/[^/.]*[.][^/.]*)[.].*")


class AccessLog:
    """Counts requests, and logs them, health checks and scrapes apart."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and tell how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _count(scope, status, time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not scope["path"].startswith(_QUIET):
                spent = round((time.perf_counter() - started) * 1000, 2)
                log.info("request", method=scope["method"], path=_shown(scope["path"]), status=status, ms=spent)


def _count(scope: Scope, status: int, seconds: float) -> None:
    """When the answer begins: a stream may last for hours."""
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    meters.REQUESTS.labels(method, route, str(status)).inc()
    meters.REQUEST_SECONDS.labels(route).observe(seconds)


def _shown(path: str) -> str:
    return _SECRET_PART.sub(r"\1.***", path)
