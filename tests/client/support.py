"""What the client's tests share: a world with one server, and tills whose network can be told how to fail."""

import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx

from sync.client import Options, Runtime, SyncClient
from tests.client.memory_server import MemoryServer
from tests.client.samples import COLLECTIONS

START_MS = 1_795_424_400_000  # 2026-11-23T09:00:00Z

Fault = Literal["lose_request", "lose_answer"] | httpx.Response
"""What befalls a request; a response is what something else answers in the server's place."""


def problem(status: int, code: str | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A refusal; without a code it comes from something before the server."""
    content = b"<html>sign in to the hotel's network</html>" if code is None else json.dumps({"code": code}).encode()
    return httpx.Response(status, content=content, headers=headers)


def judged(**change: object) -> Callable[[dict[str, Any]], object]:
    """An edit that makes the server say something else about every mutation."""
    return lambda answer: [verdict.update(change) for verdict in answer["verdicts"]]


class Line(httpx.AsyncBaseTransport):
    """The network between one till and the server: it does what its script says, then works."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.script: deque[Fault] = deque()
        self.sent: list[httpx.Request] = []
        self.before: Callable[[], None] = lambda: None  # something that happens while a request is under way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        await anyio.lowlevel.checkpoint()  # others may run while a request is under way
        fault = self.script.popleft() if self.script else None
        if isinstance(fault, httpx.Response):
            return fault
        if fault == "lose_request":
            raise httpx.ConnectError("no route")
        body = await request.aread()
        self.before()
        status, document = self._server.sync(request.headers, body)
        if fault == "lose_answer":
            raise httpx.ReadError("the line went dead")
        return httpx.Response(status, content=json.dumps(document).encode())


@dataclass
class Till:
    """A client, its network, and how long it slept."""

    client: SyncClient
    line: Line
    sleeps: list[float] = field(default_factory=list)


class World:
    """One server, one clock, any number of tills. Sleeping takes no time but moves the clock."""

    def __init__(self, folder: Path | None = None) -> None:
        self.ms = START_MS
        self.server = MemoryServer(lambda: self.ms)
        self._folder = folder
        self._tills: list[Till] = []

    def till(self, name: str, *, role: str = "owner", skew_ms: int = 0, **options: Any) -> Till:
        """A till of the device `name`; with a folder its database is `<name>.db` there, else in memory."""
        line, sleeps = Line(self.server), list[float]()
        chance = random.Random(f"{name}{len(self._tills)}")

        async def sleep(seconds: float) -> None:
            sleeps.append(seconds)
            assert len(sleeps) < 1000, "nothing gets on: the loop backs off for ever"
            self.ms += int(seconds * 1000)
            await anyio.lowlevel.checkpoint()

        runtime = Runtime(lambda: self.ms + skew_ms, sleep, chance.random, chance.randbytes)
        path = ":memory:" if self._folder is None else self._folder / f"{name}.db"
        client = SyncClient(
            path,
            "http://server",
            f"{role}:{name}",
            Options(**({"collections": COLLECTIONS} | options)),
            http=httpx.AsyncClient(transport=line),
            runtime=runtime,
        )
        self._tills.append(Till(client, line, sleeps))
        return self._tills[-1]

    async def aclose(self) -> None:
        """Close all tills."""
        for till in self._tills:
            await till.client.aclose()

    def assert_settled(self, *tills: Till) -> None:
        """Every view is the server's, every mutation has exactly one verdict, and the same one on both sides."""
        for till in tills:
            assert till.client.status.differences == 0
            self._assert_counted(till)
            for name in COLLECTIONS:
                seen = {record_id: record.fields for record_id, record in till.client.records(name).items()}
                assert self.server.view(name) == seen
            for entry in till.client.entries():
                assert entry.verdict is not None
                first = self.server.verdicts[entry.uid]
                assert [(entry.verdict["status"], entry.verdict["code"])] == [(v["status"], v["code"]) for v in first]

    def _assert_counted(self, till: Till) -> None:
        """The sums that are compared with the server's digests are those of the rows."""
        base = till.client.store._base
        with till.client.store._database.transaction() as meta:
            kept = base.digests(meta)
            base.recount(meta)
            assert kept == base.digests(meta)
