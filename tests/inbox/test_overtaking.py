"""A webhook that overtakes the answer to the very call that caused it makes no second record, and loses nothing."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from server.inbox.decide import PATIENCE_MS
from server.inbox.observe import Place, WaitsError, observe
from server.ports import Draft, Ours
from server.storage.database import Tx
from tests.inbox.told_back import ToldBack, open_told_back
from tests.outbox.bank import route
from tests.outbox.outlet import open_outlet
from tests.support.receiver import SECRET, Receiver
from tests.support.shop import sale_fields


@pytest.fixture
async def shop(database_url: str, receiver: Receiver) -> AsyncIterator[ToldBack]:
    """A shop whose sales go to the receiver, on a fresh database of each kind."""
    async with open_told_back(database_url, receiver) as opened:
        await opened.bind("standard")
        yield opened


@pytest.mark.parametrize("say", [["record_id"], ["idempotency_key"], []])
async def test_a_webhook_before_the_answer_waits_and_finds_the_record(shop: ToldBack, say: list[str]) -> None:
    """By the record's id or the key that came back, or, where neither does, by the receiver's own id."""
    sale = await shop.sell(say=say)
    assert await shop.told() == [("pending", "in_flight")]
    assert (shop.woken, await shop.reference(sale)) == (2, ("delivered", shop.receiver.kept()[-1]["reference"]))
    await shop.processor.drain()
    assert await shop.told() == [("done", None)]
    assert await shop.sales() == 1
    (event,) = await shop.events()
    assert (event.attempts, event.failures) == (2, 0)


@pytest.mark.parametrize("known", [Ours("record", None), Ours(None, "key"), Ours(None, None)])
async def test_what_a_lost_history_may_have_sent_is_under_way(database_url: str, known: Ours) -> None:
    """Its call is not known to this history: what is told of it waits for the look-up and makes no second record."""
    async with open_outlet(database_url, declared=[route()]) as outlet:
        endpoint_id = await outlet.bind("sales.charge")
        await outlet.sell()
        (row,) = await outlet.rows()
        ((key,),) = await outlet.fetch("SELECT idempotency_key FROM outbox")
        ours = Ours(known.record_id and row.record_id, known.key and key)
        drafts = [Draft("sales", f"{endpoint_id}:theirs", "", {}, ours=ours)]
        outlet.clock.ms += 1000
        await outlet.begin_epoch()

        async def told(tx: Tx) -> None:
            await observe(tx, Place(outlet.tenant_id, endpoint_id), drafts)

        with pytest.raises(WaitsError, match="in_flight"):
            await outlet.database.read(told)


async def test_an_answer_that_is_lost_leaves_the_webhook_waiting_until_the_call_ends(shop: ToldBack) -> None:
    """The call is tried again with its key; the webhook is looked at again, and again waits, as long as it must."""
    sale = await shop.sell(then="drop")
    await shop.receiver.script()
    shop.outlet.clock.ms += 2_000
    await shop.processor.drain()
    assert await shop.told() == [("pending", "in_flight")]
    shop.outlet.clock.ms += 60_000
    await shop.relay.drain()
    await shop.processor.drain()
    assert await shop.told() == [("done", None)]
    assert await shop.reference(sale) == ("delivered", shop.receiver.kept()[-1]["reference"])
    assert await shop.sales() == 1


async def test_later_news_is_known_by_the_name_our_call_was_answered_with(shop: ToldBack) -> None:
    """Without any metadata; what is older than what came is stale."""
    sale = await shop.sell(say=["record_id"])
    await shop.processor.drain()
    _, reference = await shop.reference(sale)
    for sequence in (3, 2):
        assert await shop.receiver.tell(reference, shop.url, say=[], changes={"sequence": sequence}) == 200
    assert [state for state, _ in await shop.told()] == ["done", "done", "stale"]
    assert await shop.sales() == 1


async def forgotten(shop: ToldBack) -> tuple[str, str]:
    """A sale that this server, restored from a backup, has never heard of; and the receiver's name for it."""
    sale = await shop.sell()
    _, reference = await shop.reference(sale)
    await forget(shop)
    return sale, reference


async def forget(shop: ToldBack) -> None:
    """As after a restore from a backup that is older than all of it."""
    for table in ("sales", "outbox", "attempts", "identities", "inbox", "mutations"):
        await shop.execute(f"DELETE FROM {table}")  # noqa: S608  # the names above


async def test_what_says_it_is_ours_is_never_made_but_waits_for_its_record(shop: ToldBack) -> None:
    """A restored server hears of a sale that its till has yet to send again; then it sends it."""
    sale, reference = await forgotten(shop)
    assert await shop.receiver.tell(reference, shop.url) == 200
    assert await shop.told() == [("pending", "not_here_yet")]
    assert await shop.sales() == 0
    created = {"uid": shop.outlet.new_id(), "op": "create", "collection": "sales", "record_id": sale}
    assert await shop.outlet.push({**created, "fields": sale_fields(9)}) == ["applied"]
    shop.outlet.clock.ms += 60_000
    await shop.processor.drain()
    assert await shop.told() == [("done", None)]
    assert (await shop.sales(), await shop.reference(sale)) == (1, (None, reference))


async def tell_of(shop: ToldBack, record_id: str, reference: str) -> None:
    """The receiver says that an object of its is such a record of ours."""
    body, at = json.dumps({"id": reference, "sequence": 7, "record_id": record_id}), datetime.now(UTC)
    signature = Webhook(SECRET).sign("told-7", at, body)
    headers = {"webhook-id": "told-7", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    assert (await shop.answer(shop.url, headers, body.encode())).status == 200


async def test_what_waits_for_its_record_is_looked_at_again_when_an_answer_names_it(shop: ToldBack) -> None:
    """However long it was until its next look; what else waits there is left alone."""
    sale = shop.outlet.new_id()
    create = {"uid": shop.outlet.new_id(), "op": "create", "collection": "sales", "record_id": sale}
    sold = {**create, "fields": sale_fields(9)}
    await shop.outlet.push(sold)
    await shop.relay.drain()
    _, reference = await shop.reference(sale)
    await forget(shop)
    assert await shop.receiver.tell(reference, shop.url) == 200
    await tell_of(shop, shop.outlet.new_id(), "of-another")
    shop.outlet.clock.ms += 60 * 60_000
    await shop.processor.drain()
    assert await shop.outlet.push(sold) == ["applied"]
    await shop.relay.drain()
    await shop.processor.drain()
    assert sorted(await shop.told()) == [("done", None), ("pending", "not_here_yet")]


async def test_what_nobody_knows_for_a_day_is_for_a_person(shop: ToldBack) -> None:
    """It is kept with its reason, and still makes no record."""
    _, reference = await forgotten(shop)
    assert await shop.receiver.tell(reference, shop.url) == 200
    shop.outlet.clock.ms += PATIENCE_MS + 1
    await shop.processor.drain()
    assert await shop.told() == [("quarantined", "unknown_own")]
    assert await shop.sales() == 0


async def test_a_record_that_was_never_sent_there_is_not_believed(shop: ToldBack) -> None:
    """An endpoint tells of what went to it: another one's sale is none of its business."""
    await shop.execute("DELETE FROM bindings")
    (foreign,) = await shop.outlet.sell()
    await tell_of(shop, foreign, "made-up")
    assert await shop.told() == [("pending", "not_here_yet")]
    shop.outlet.clock.ms += PATIENCE_MS + 1
    await shop.processor.drain()
    assert await shop.told() == [("quarantined", "unknown_own")]
    assert await shop.reference(foreign) == (None, None)


async def test_an_object_that_is_known_is_not_made_another_record(shop: ToldBack) -> None:
    """It says now that it is another sale, one that went there as well: a person must look."""
    first, second = await shop.sell(), await shop.sell()
    await shop.processor.drain()
    before = [await shop.reference(first), await shop.reference(second)]
    await tell_of(shop, second, before[0][1])
    assert (await shop.told())[-1] == ("quarantined", "another_record")
    assert [await shop.reference(first), await shop.reference(second)] == before
