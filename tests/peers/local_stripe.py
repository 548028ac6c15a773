"""Starts localstripe for tests, on the port given: `.venv-peers/bin/python tests/peers/local_stripe.py PORT`.

It is the package's own application, but that it keeps nothing on the disk (it would in one file for all), sends its
webhooks soon instead of after a second, and says that it is there.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from aiohttp import web
from localstripe import resources, server, webhooks  # type: ignore[import-not-found]  # in an environment of its own

SOON_S = 0.05


@web.middleware
async def there(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer whether it is there."""
    return web.Response() if request.path == "/health/live" else await handler(request)


if __name__ == "__main__":
    resources.Store.dump_to_disk = lambda _self: None
    webhooks.asyncio = SimpleNamespace(
        sleep=lambda _seconds: asyncio.sleep(SOON_S), ensure_future=asyncio.ensure_future
    )
    server.app.middlewares.insert(0, there)
    web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
