"""Traces: from a till's mutation to the provider's request id, and from what a provider told to the tills."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from server.ops.trace.story import Chapter, tell
from server.ports import Answer, Call
from server.storage.database import Database
from tests.inbox.mailroom import Mailroom, open_mailroom, sale
from tests.outbox.outlet import Outlet, Scripted, open_outlet


@pytest.fixture
async def outlet(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out, once on each kind of database."""
    async with open_outlet(database_url) as opened:
        yield opened


@pytest.fixture
async def room(sqlite_url: str) -> AsyncIterator[Mailroom]:
    """A shop that is told things."""
    async with open_mailroom(sqlite_url) as opened:
        yield opened


async def _tell(database: Database, tenant_id: str, text: str) -> list[Chapter]:
    return await database.read(partial(tell, tenant_id=tenant_id, text=text))


async def _sold_at_the_second_try(outlet: Outlet) -> str:
    """A sale that is refused for a moment, then taken; its delivery's id."""
    await outlet.bind()
    answers = [Answer(503, request_id="req-1"), Answer(200, reference="ref-1", request_id="req-2")]

    def answer(_call: Call) -> Answer:
        return answers.pop(0)

    await outlet.sell()
    for _ in range(2):
        await outlet.relay(Scripted(answer)).drain()
        outlet.clock.ms += 120_000
    ((delivery),) = await outlet.rows()
    return delivery.delivery_id


async def test_a_sale_is_followed_to_the_provider_s_request(outlet: Outlet) -> None:
    """By whichever of its ids: the same story, its steps in order."""
    delivery_id = await _sold_at_the_second_try(outlet)
    ((uid, correlation_id),) = await outlet.fetch("SELECT uid, correlation_id FROM outbox")
    stories = [await _tell(outlet.database, outlet.tenant_id, text) for text in (uid, delivery_id, correlation_id)]
    ((mutation,), *_) = stories
    assert stories[0] == stories[1] == stories[2]
    assert (mutation.kind, mutation.id, mutation.facts["number"]) == ("mutation", uid, 1)
    assert [step.facts["version"] for step in mutation.steps if step.what == "judged"] == [1]
    (delivery,) = mutation.then
    attempts = [step.facts for step in delivery.steps if step.what.startswith("attempt")]
    assert [(one["outcome"], one["status"], one["request_id"]) for one in attempts] == [
        ("transient", 503, "req-1"),
        ("delivered", 200, "req-2"),
    ]
    assert (delivery.facts["state"], delivery.facts["reference"]) == ("delivered", "ref-1")
    assert delivery.steps[-1].what == "written back to the record"
    times = [step.at for step in delivery.steps]
    assert times == sorted(times, key=str)


async def test_a_mutation_that_waits_to_go_out_says_when(outlet: Outlet) -> None:
    """Nobody has tried it yet."""
    await outlet.bind()
    await outlet.sell()
    ((uid,),) = await outlet.fetch("SELECT uid FROM outbox")
    (mutation,) = await _tell(outlet.database, outlet.tenant_id, uid)
    assert [step.what for step in mutation.then[0].steps] == ["accepted into the outbox", "to be tried next"]


async def test_other_sales_of_the_same_request_are_another_story(outlet: Outlet) -> None:
    """A mutation's trace holds its own deliveries; the request's holds all."""
    await outlet.bind()
    await outlet.sell(3)
    uids = [row[0] for row in await outlet.fetch("SELECT uid FROM outbox ORDER BY uid")]
    (one,) = await _tell(outlet.database, outlet.tenant_id, uids[0])
    assert [chapter.id for chapter in await _tell(outlet.database, outlet.tenant_id, "corr-1")] == uids
    assert len(one.then) == 1


async def test_another_merchant_s_ids_tell_nothing(outlet: Outlet) -> None:
    """Nor does an id that nothing has."""
    await outlet.bind()
    await outlet.sell()
    ((uid,),) = await outlet.fetch("SELECT uid FROM outbox")
    assert await _tell(outlet.database, outlet.new_id(), uid) == []
    assert await _tell(outlet.database, outlet.tenant_id, "no such id") == []


async def test_what_a_provider_told_is_followed_to_its_records(room: Mailroom) -> None:
    """A receipt names the records it brought, and nothing of what it said."""
    address = await room.add_pos()
    receipt = await room.sell(address, sale(1))
    await room.processor().drain()
    for text in (receipt.receipt_id, "corr-webhook"):
        (found,) = await _tell(room.shop.database, room.shop.tenant_id, text)
        assert (found.kind, found.facts["state"], found.facts["provider"]) == ("receipt", "done", "pos")
        assert [record["collection"] for record in found.facts["records"]] == ["sales"]
        assert [step.what for step in found.steps] == ["received, and stored raw", "done"]
        assert "caff" not in str(found)


async def test_a_mutation_that_broke_a_rule_says_which(outlet: Outlet) -> None:
    """It was kept, and never went anywhere."""
    uid = outlet.new_id()
    fields = {"total": "1.20"}
    await outlet.push(
        {"uid": uid, "op": "create", "collection": "sales", "record_id": outlet.new_id(), "fields": fields}
    )
    (told,) = await _tell(outlet.database, outlet.tenant_id, uid)
    kept = next(step for step in told.steps if step.what.startswith("kept"))
    judged = next(step for step in told.steps if step.what == "judged")
    assert (judged.facts["status"], kept.facts["code"], told.then) == ("rejected", judged.facts["code"], [])
