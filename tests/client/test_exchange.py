"""An exchange: verdicts and pages come in, whatever the network does, and nothing is lost or done twice."""

import gzip
import json
from typing import Any

import pytest

from sync.client.errors import UnexpectedAnswerError, UnreachableError
from sync.protocol import Unusable
from tests.client.memory_server import uids
from tests.client.samples import product, sale
from tests.client.support import World, judged


async def test_what_was_written_offline_comes_home(world: World) -> None:
    """Queued mutations are applied in order, and the view is the server's in the end."""
    till = world.till("a")
    coffee = till.client.create("products", product(), increments={"stock": "10"})
    till.client.update("products", coffee.record_id, {"price": "1.30"}, increments={"stock": "-2"})
    await till.client.drain()
    assert world.server.view("products")[coffee.record_id]["stock"] == "8.000"
    world.assert_settled(till)


async def test_a_lost_request_is_sent_again(world: World) -> None:
    """Nothing reached the server; the same mutation goes out once more."""
    till = world.till("a")
    till.line.script += ["lose_request"]
    made = till.client.create("products", product())
    with pytest.raises(UnreachableError):
        await till.client.sync_once()
    await till.client.drain()
    assert uids(world.server.requests)[0] == [made.uid]
    world.assert_settled(till)


async def test_a_lost_answer_does_nothing_twice(world: World) -> None:
    """The server took it and the answer got lost: sent again, it is recognised, and the increment counts once."""
    till = world.till("a")
    till.line.script += ["lose_answer", "lose_answer"]
    coffee = till.client.create("products", product(), increments={"stock": "5"})
    await till.client.drain()
    (entry,) = till.client.entries("settled")
    assert entry.verdict is not None
    assert entry.verdict["duplicate"] is True
    assert world.server.view("products")[coffee.record_id]["stock"] == "5.000"
    world.assert_settled(till)


async def test_a_rejected_mutation_does_not_stop_the_queue(world: World) -> None:
    """It leaves the view and keeps its content; what comes after it goes on."""
    till = world.till("a")
    bad = till.client.create("products", product(price="expensive"))
    good = till.client.create("products", product("Tè"))
    await till.client.drain()
    (entry,) = till.client.rejected()
    assert (entry.uid, entry.content["fields"]["price"]) == (bad.uid, "expensive")
    assert set(till.client.records("products")) == {good.record_id}
    assert till.client.status.rejected == 1
    world.assert_settled(till)


async def test_a_rejected_mutation_is_sent_again_corrected(world: World) -> None:
    """The corrected version is a mutation of its own; the refused one leaves the list and stays in the journal."""
    till = world.till("a")
    bad = till.client.create("products", product(price="expensive"))
    await till.client.drain()
    again = till.client.resend(bad.uid, {"price": "1.10"})
    await till.client.drain()
    assert again.record_id == bad.record_id
    assert till.client.records("products")[bad.record_id].fields["price"] == "1.10"
    assert till.client.rejected() == []
    assert [entry.state for entry in till.client.entries()] == ["resolved", "settled"]
    world.assert_settled(till)


async def test_a_mutation_sent_again_keeps_its_tags(world: World) -> None:
    """What was right about it stays: tags put in and taken out are not part of the correction."""
    till = world.till("a")
    made = till.client.create("products", product(), adds={"tags": ["old"]})
    await till.client.drain()
    bad = till.client.update(
        "products", made.record_id, {"name": ""}, adds={"tags": ["new"]}, removes={"tags": ["old"]}
    )
    await till.client.drain()
    till.client.resend(bad.uid, {"name": "Tè"})
    await till.client.drain()
    fields = till.client.records("products")[made.record_id].fields
    assert (fields["name"], fields["tags"]) == ("Tè", ["new"])
    world.assert_settled(till)


async def test_an_expired_verdict_sends_the_mutation_to_a_person(world: World) -> None:
    """The server does not know any more what became of it: it is kept to be looked at."""
    till = world.till("a")
    till.client.create("products", product())
    world.server.edit = judged(code="verdict_expired")
    await till.client.sync_once()
    assert [entry.verdict and entry.verdict["code"] for entry in till.client.rejected()] == ["verdict_expired"]


async def test_a_waiting_mutation_stays_on_the_screen(world: World) -> None:
    """It is consumed and not sent again; the final verdict, whenever it comes, ends it."""
    till = world.till("a")
    made = till.client.create("products", product())
    world.server.edit = judged(status="waiting", version=None)
    await till.client.drain()
    assert [till.client.status.pending, till.client.status.waiting] == [0, 1]
    assert till.client.records("products")[made.record_id].unsent == 1
    final = world.server.verdicts[made.uid][0] | {"status": "applied", "version": 1}
    world.server.edit = lambda answer: answer["verdicts"].append(final)
    await till.client.drain()
    assert till.client.status.waiting == 0
    assert till.client.records("products")[made.record_id].unsent == 0


async def test_a_mutation_stays_on_the_screen_until_its_version_is_pulled(world: World) -> None:
    """Between its verdict and the page that brings it back, the view still shows it."""
    till = world.till("a")
    made = till.client.create("products", product(), increments={"stock": "3"})
    world.server.edit = lambda answer: answer.update(changes=[], cursor=json.dumps(["epoch-1", 1, 0, None]))
    await till.client.sync_once()
    assert till.client.status.pending == 0
    assert till.client.records("products")[made.record_id].fields["stock"] == "3"
    world.server.edit = lambda _answer: None
    await till.client.sync_once()
    assert till.client.records("products")[made.record_id].fields["stock"] == "3.000"
    world.assert_settled(till)


async def test_a_round_comes_in_pages(world: World) -> None:
    """Many records arrive a page at a time, each with its cursor; a killed round goes on where it was."""
    writer, reader = world.till("a"), world.till("b", page=4)
    for index in range(10):
        writer.client.create("products", product(f"Nr. {index}"))
    await writer.client.drain()
    assert (await reader.client.sync_once()).more
    await reader.client.aclose()
    again = world.till("b", page=4)
    await again.client.drain()
    assert [request.get("limit") for request in world.server.requests].count(4) == 3
    world.assert_settled(writer, again)


async def test_what_is_pushed_in_the_middle_of_a_round_comes_back_before_drain_ends(world: World) -> None:
    """The round's target does not cover it, so one more round is asked for."""
    writer, reader = world.till("a"), world.till("b", page=2)
    for index in range(5):
        writer.client.create("products", product(f"Nr. {index}"))
    await writer.client.drain()
    await reader.client.sync_once()
    made = reader.client.create("products", product("Mine"))
    await reader.client.drain()
    assert reader.client.records("products")[made.record_id].version == 1
    world.assert_settled(reader)


async def test_a_reset_rebuilds_beside_the_old_copy(world: World) -> None:
    """Until the round has ended the old records are shown; pending mutations outlive it."""
    till = world.till("a", page=2)
    for index in range(5):
        till.client.create("products", product(f"Nr. {index}"))
    await till.client.drain()
    lost = world.server.records.popitem()[0][1]  # without a trace
    world.server.forget_cursors()
    made = till.client.create("products", product("New"))
    assert (await till.client.sync_once()).more
    assert lost in till.client.records("products")
    assert len(till.client.records("products")) == 6
    await till.client.drain()
    assert lost not in till.client.records("products")
    assert made.record_id in till.client.records("products")


async def test_a_lost_bucket_is_out_of_sight_at_once(world: World) -> None:
    """Exactly its records go, with the page that says so; nothing is pulled again."""
    till = world.till("a")
    gone = till.client.create("customers", {"name": "Bianchi"})
    kept = till.client.create("products", product())
    await till.client.drain()
    dropped = [{"collection": "customers", "audience": audience} for audience in ("shop:altro", "tenant")]
    world.server.edit = lambda answer: answer.update(dropped=dropped[:1], digest=None)
    await till.client.sync_once()
    assert set(till.client.records("customers")) == {gone.record_id}
    world.server.edit = lambda answer: answer.update(dropped=dropped, digest=None)
    assert not (await till.client.sync_once()).more
    assert till.client.records("customers") == {}
    assert set(till.client.records("products")) == {kept.record_id}


async def test_an_erased_record_leaves_the_device(world: World) -> None:
    """What was erased for good stays nowhere here, and its queued edits are sent empty, to keep their numbers."""
    till = world.till("a", batch=1)
    person = till.client.create("customers", {"name": "Mario Rossi"})
    await till.client.drain()
    for note in ("one", "two"):
        till.client.update("customers", person.record_id, {"note": note})

    def erase(answer: dict[str, Any]) -> None:
        answer["verdicts"][0].update(status="rejected", code="erased", version=None)
        answer["changes"] = []

    world.server.edit = erase
    await till.client.sync_once()
    assert "Mario" not in till.client.export()
    assert till.client.records("customers") == {}
    world.server.edit = lambda answer: answer.update(changes=[])
    await till.client.drain()
    sent = [mutation for request in world.server.requests for mutation in request["mutations"]]
    assert [mutation["op"] for mutation in sent if not isinstance(mutation, Unusable)] == ["create", "update", "noop"]
    assert till.client.status.pending == 0


async def test_a_large_request_is_compressed(world: World) -> None:
    """Small ones go as they are; each carries the token and a correlation id of its own."""
    till = world.till("a", gzip_over_bytes=1000)
    await till.client.sync_once()
    for _ in range(5):
        till.client.sell(sale())
    await till.client.drain()
    small, large = till.line.sent[0], till.line.sent[1]
    assert "content-encoding" not in small.headers
    assert large.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(large.content))["mutations"]) == 5
    ids = {request.headers["x-request-id"] for request in till.line.sent}
    assert (len(ids), {len(one) for one in ids}) == (len(till.line.sent), {32})
    assert large.headers["authorization"] == "Bearer owner:a"


async def test_a_batch_is_bounded_in_count_and_bytes(world: World) -> None:
    """At most so many mutations, and never more bytes than a server takes."""
    till = world.till("a", batch=3, body_bytes=3000)
    for index in range(4):
        till.client.create("customers", {"name": f"Nr. {index}"})
    for _ in range(2):
        till.client.create("customers", {"name": "x", "note": "n" * 1000, "address": "a" * 290, "phone": "1" * 40})
    await till.client.drain()
    assert [len(sent) for sent in uids(world.server.requests)][:3] == [3, 2, 1]
    world.assert_settled(till)


async def test_a_mutation_over_the_byte_bound_goes_alone(world: World) -> None:
    """Whatever the bound, the queue gets on."""
    till = world.till("a", body_bytes=10)
    for index in range(2):
        till.client.create("customers", {"name": f"Nr. {index}"})
    await till.client.drain()
    assert [len(sent) for sent in uids(world.server.requests)] == [1, 1]


async def test_a_verdict_told_once_more_changes_nothing(world: World) -> None:
    """What a person has dealt with does not come back."""
    till = world.till("a")
    bad = till.client.create("products", product(price="?"))
    await till.client.drain()
    till.client.dismiss(bad.uid)
    again = world.server.verdicts[bad.uid][0] | {"duplicate": True}
    world.server.edit = lambda answer: answer["verdicts"].append(again)
    assert (await till.client.sync_once()).verdicts == 0
    assert till.client.rejected() == []


@pytest.mark.parametrize(("place", "version"), [(0, 1), (1, 1), (1, 0)])
async def test_a_record_told_twice_in_a_page_keeps_its_newest_state(world: World, place: int, version: int) -> None:
    """One that moved between buckets comes as a tombstone of the old one as well, in any order."""
    till = world.till("a")
    made = till.client.create("products", product())
    named = {"collection": "products", "record_id": made.record_id, "audience": "shop:altro"}
    tombstone = {**named, "version": version, "deleted": True, "fields": {}}
    world.server.edit = lambda answer: answer["changes"].insert(place, tombstone)
    await till.client.drain()
    assert set(till.client.records("products")) == {made.record_id}


async def test_a_page_that_another_process_turned_already_is_left_alone(world: World) -> None:
    """Verdicts count whoever hears them; the page does not go on from where the client stands by now."""
    till = world.till("a")
    store = till.client.store
    made = till.client.create("products", product())

    def turn() -> None:
        with store._database.transaction() as meta:
            meta.cursor = '["epoch-1", 1, 0, null]'

    till.line.before = turn
    taken = await till.client.sync_once()
    assert (taken.verdicts, taken.changes, store.meta().cursor) == (1, 0, '["epoch-1", 1, 0, null]')
    till.line.before = lambda: None
    await till.client.drain()
    assert till.client.records("products")[made.record_id].version == 1


async def test_a_tills_wrong_clock_is_corrected_after_the_first_answer(world: World) -> None:
    """Timestamps are in the server's time once there was an answer, and always grow."""
    till = world.till("a", skew_ms=-7_200_000)
    await till.client.sync_once()
    stamps = [till.client.create("products", product()).timestamp for _ in range(3)]
    assert stamps == ["2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.001Z", "2026-11-23T09:00:00.002Z"]


async def test_a_clock_put_right_is_followed(world: World) -> None:
    """Days ahead before the first answer, right afterwards: new mutations are not dated in the future for days."""
    till = world.till("a", skew_ms=2 * 24 * 3600 * 1000)
    assert till.client.create("products", product()).timestamp.startswith("2026-11-25")
    await till.client.drain()
    assert till.client.create("products", product()).timestamp == "2026-11-23T09:00:00.000Z"


async def test_a_slow_answer_says_nothing_about_the_time(world: World) -> None:
    """Nobody knows when in that minute it was written."""
    till = world.till("a", skew_ms=-5000)

    def dawdle() -> None:
        world.ms += 60_000

    till.line.before = dawdle
    await till.client.sync_once()
    assert till.client.store.meta().offset_ms == 0


async def test_two_tills_edit_the_same_product(world: World) -> None:
    """Deltas add up, the later name wins, and no till conflicts with itself."""
    one, two = world.till("a"), world.till("b")
    made = one.client.create("products", product(), increments={"stock": "10"})
    await one.client.drain()
    await two.client.drain()
    one.client.update("products", made.record_id, {"name": "Espresso"}, increments={"stock": "-1"})
    one.client.update("products", made.record_id, {"name": "Ristretto"}, increments={"stock": "-1"})
    world.ms += 1000
    two.client.update("products", made.record_id, {"name": "Lungo"}, increments={"stock": "-3"})
    await two.client.drain()
    await one.client.drain()
    await two.client.drain()
    fields = world.server.view("products")[made.record_id]
    assert (fields["name"], fields["stock"]) == ("Lungo", "5.000")
    world.assert_settled(one, two)


@pytest.mark.parametrize(
    "damage",
    [
        {"server_time": "yesterday"},
        {"more": 1},
        {"changes": [{"collection": "products"}]},
        {"verdicts": [{"mutation_id": 1}]},
        {"epoch": None},
    ],
)
async def test_an_answer_that_is_not_the_protocols_changes_nothing(world: World, damage: dict[str, object]) -> None:
    """It is taken whole or not at all."""
    till = world.till("a")
    till.client.create("products", product())
    before = till.client.store.meta()
    world.server.edit = lambda answer: answer.update(damage)
    with pytest.raises(UnexpectedAnswerError):
        await till.client.sync_once()
    assert till.client.store.meta() == before
    assert till.client.status.pending == 1


async def test_a_round_that_does_not_get_on_is_trouble(world: World) -> None:
    """More, says the server, and gives nothing and the same cursor: it is not asked again without a pause."""
    till = world.till("a")
    await till.client.sync_once()
    world.server.edit = lambda answer: answer.update(more=True)
    with pytest.raises(UnexpectedAnswerError, match="does not come"):
        await till.client.sync_once()


async def test_an_answer_without_verdicts_is_trouble_and_not_an_endless_loop(world: World) -> None:
    """A server that never gets on is left alone for a while, and the queue is kept."""
    till = world.till("a")
    till.client.create("products", product())
    world.server.edit = lambda answer: answer.update(verdicts=[])
    with pytest.raises(UnexpectedAnswerError, match="no verdict"):
        await till.client.sync_once()
    world.server.edit = lambda _answer: None
    await till.client.drain()
    world.assert_settled(till)
