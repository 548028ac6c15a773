"""The promises against a real receiver in a process of its own: what its file says took effect is what counts."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import BaseModel
from standardwebhooks import Webhook

from server.ports import Answer, Call, Operation, Promise
from server.resilience.errors import TransientError
from tests.outbox.bank import PROVIDER, route
from tests.outbox.outlet import Outlet, open_outlet
from tests.support.receiver import Receiver, receiver_process

SEEDS = itertools.count(1)  # one receiver sees them all: ids must differ
CASES: list[tuple[Promise, int, str]] = [
    ("keyed", 1, "delivered"),
    ("lookup", 1, "delivered"),
    ("once", 1, "in_doubt"),
    ("repeatable", 2, "delivered"),
]


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """One receiver for all tests here; each looks at its own sale only."""
    async with receiver_process(tmp_path_factory.mktemp("promised")) as running:
        yield running


class Desk:
    """Speaks to the receiver. It honours keys, so only `keyed` calls keep theirs: any other call is one of its own."""

    name = PROVIDER
    settings = BaseModel

    def __init__(self, receiver: Receiver, promise: Promise) -> None:
        self._receiver, self._promise, self.calls = receiver, promise, 0

    def operations(self) -> Mapping[str, Operation]:
        return {"charge": Operation(self._promise, self._send, self._look_up)}

    async def _send(self, call: Call) -> Answer:
        self.calls += 1
        key = call.idempotency_key if self._promise == "keyed" else f"{call.idempotency_key}-{call.attempt}"
        at = datetime.now(UTC)
        signature = Webhook(self._receiver.secret).sign(key, at, call.payload)
        signed = {"webhook-id": key, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                headers = {**signed, "idempotency-key": key}
                answer = await client.post(self._receiver.url, content=call.payload, headers=headers)
        except httpx.HTTPError:
            raise TransientError("answer_lost", maybe_done=True) from None
        return Answer(answer.status_code, reference=answer.json().get("reference"))

    async def _look_up(self, call: Call) -> Answer | None:
        async with httpx.AsyncClient(trust_env=False) as client:
            found = await client.get(f"{self._receiver.process.url}/find/{call.record_id}")
        return None if found.status_code == 404 else Answer(200, reference=json.loads(found.text)["id"])


def effects(receiver: Receiver, sale: str) -> int:
    """How often a sale took effect, by the receiver's file."""
    return sum(one["sent"]["data"]["record_id"] == sale for one in receiver.kept())


async def sold(shop: Outlet, receiver: Receiver) -> str:
    """A sale that no other test has sold."""
    (sale,) = await shop.sell()
    assert effects(receiver, sale) == 0
    return sale


@pytest.mark.parametrize(("promise", "wanted", "state"), CASES)
async def test_an_answer_that_is_lost_on_the_way(
    database_url: str, receiver: Receiver, promise: Promise, wanted: int, state: str
) -> None:
    """The connection is cut after the effect; what follows is what was promised."""
    async with open_outlet(database_url, next(SEEDS), declared=[route()]) as shop:
        await shop.bind("sales.charge")
        sale = await sold(shop, receiver)
        await receiver.script({"do": "drop"})
        desk = Desk(receiver, promise)
        for _ in range(2):
            await shop.relay(desk).drain()
            shop.clock.ms += 2_000
        assert (effects(receiver, sale), await shop.states()) == (wanted, {state: 1})


@pytest.mark.parametrize(("promise", "wanted", "state"), CASES[:3])
async def test_a_delivery_that_a_lost_history_made(
    database_url: str, receiver: Receiver, promise: Promise, wanted: int, state: str
) -> None:
    """It took effect, and the row that says so is gone: the one that is left says that it waits."""
    async with open_outlet(database_url, next(SEEDS), declared=[route()]) as shop:
        await shop.bind("sales.charge")
        sale = await sold(shop, receiver)
        desk = Desk(receiver, promise)
        await shop.relay(desk).drain()
        await shop.change_rows("UPDATE outbox SET state = 'pending', holds = true, attempts = 0, settled_at = NULL")
        await shop.change_rows("DELETE FROM attempts")
        shop.clock.ms += 1000
        await shop.begin_epoch()
        await shop.relay(desk).drain()
        assert (effects(receiver, sale), await shop.states()) == (wanted, {state: 1})
