"""The exchange: a long body is nobody else's business while it is read."""

import threading
from collections.abc import Sequence

import anyio

from server.collections import MODELS
from server.engine.exchange import PARSERS, SHORT_BYTES
from sync.protocol import Registry, SyncRequest
from tests.support.shop import Shop, open_shop


class _Watched(Registry):
    """The shop's registry; it notes the threads that parse, and how many do at once. They wait for `go_on`."""

    def __init__(self) -> None:
        super().__init__(MODELS)
        self.threads: list[int] = []
        self.at_once = self.most = 0
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def parse_request(self, body: bytes) -> SyncRequest:
        with self._lock:
            self.threads.append(threading.get_ident())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        if len(body) > SHORT_BYTES:
            self.go_on.wait(10)
        with self._lock:
            self.at_once -= 1
        return super().parse_request(body)


async def _send(shop: Shop, bodies: int, into: list[Sequence[str]]) -> None:
    async def one() -> None:
        till = shop.device()
        answer = await till.send(till.mutation("nothing", shop.new_id(), fields={"x": "x" * SHORT_BYTES}), till.sale())
        into.append([verdict["status"] for verdict in answer["verdicts"]])

    async with anyio.create_task_group() as tasks:
        for _ in range(bodies):
            tasks.start_soon(one)


async def test_a_long_body_is_parsed_beside_the_event_loop_and_few_at_once(sqlite_url: str) -> None:
    """A short one is answered meanwhile; the long ones come to the same in the end."""
    registry, verdicts = _Watched(), list[Sequence[str]]()
    async with open_shop(sqlite_url, registry=registry) as shop, anyio.create_task_group() as tasks:
        tasks.start_soon(_send, shop, PARSERS + 2, verdicts)
        with anyio.fail_after(10):
            while registry.at_once < PARSERS:
                await anyio.lowlevel.checkpoint()
        till = shop.device()
        assert (await till.send(till.sale()))["last_mutation_id"] == 1
        assert registry.threads[-1] == threading.get_ident()
        assert (verdicts, registry.at_once) == ([], PARSERS)
        registry.go_on.set()
    assert verdicts == [["rejected", "applied"]] * (PARSERS + 2)
    assert registry.most == PARSERS + 1
    assert registry.threads.count(threading.get_ident()) == 1
