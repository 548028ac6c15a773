"""Python clients whose network is a call into an engine: the real client and the real engine on either database."""

import gzip
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from server.ports import Principal
from sync.client import Options, Runtime, SyncClient
from sync.errors import SyncError
from tests.support.shop import Shop


class EngineTransport(httpx.AsyncBaseTransport):
    """Answers what is posted as the engine does; errors become problem documents."""

    def __init__(self, shop: Shop, principal: Principal) -> None:
        self._shop, self.principal = shop, principal
        self.answers: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        body = gzip.decompress(body) if "Content-Encoding" in request.headers else body
        try:
            answer = await self._shop.exchange.sync(self.principal, body, "test")
        except SyncError as error:
            problem = {"code": error.code, "detail": str(error), **error.members}
            return httpx.Response(error.status_hint, content=json.dumps(problem).encode())
        self.answers.append(json.loads(answer))
        return httpx.Response(200, content=answer)


class Linked(SyncClient):
    """A client with its transport in reach."""

    link: EngineTransport


@asynccontextmanager
async def linked(
    shop: Shop, principal: Principal, collections: tuple[str, ...], path: Path | str = ":memory:", **options: int
) -> AsyncIterator[Linked]:
    """A client of a device; it never really sleeps."""
    link = EngineTransport(shop, principal)
    chance = random.Random(principal.device_id)

    async def sleep(_seconds: float) -> None:
        return None

    runtime = Runtime(shop.clock, sleep, chance.random, chance.randbytes)
    async with (
        httpx.AsyncClient(transport=link) as http,
        Linked(
            path, "http://engine", "token", Options(collections=collections, **options), http=http, runtime=runtime
        ) as client,
    ):
        client.link = link
        yield client
