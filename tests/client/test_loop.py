"""The loop: a state machine that waits as long as it must, and starts as soon as it may."""

from datetime import UTC, datetime

import anyio
import httpx
import pytest

from sync.client import Moment, errors
from sync.client.loop import TRANSITIONS
from tests.client.memory_server import uids
from tests.client.samples import product
from tests.client.support import START_MS, World, problem


async def test_trouble_waits_longer_each_time_and_ends_with_the_first_answer(world: World) -> None:
    """The bound doubles with every failure up to the cap; an answer brings it back."""
    till = world.till("a", backoff_base_s=1.0, backoff_cap_s=8.0)
    till.line.script += ["lose_request"] * 200
    await till.client.drain()
    assert max(till.sleeps) <= 8.0
    assert [max(till.sleeps[:1]) <= 1.0, max(till.sleeps[:2]) <= 2.0, max(till.sleeps[:3]) <= 4.0] == [True] * 3
    assert 3.2 <= sum(till.sleeps[4:]) / 196 <= 4.8  # full jitter: half the bound in the middle
    till.line.script += ["lose_request"]
    await till.client.drain()
    assert till.sleeps[-1] <= 1.0


async def test_a_servers_retry_after_is_honoured(world: World) -> None:
    """In seconds or as a date, and within reason."""
    till = world.till("a", backoff_base_s=0.0)
    later = datetime.fromtimestamp(START_MS / 1000 + 7 + 90, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for value in ("7", later, "999999", "soon", ""):
        till.line.script.append(problem(503, "unavailable", {"Retry-After": value}))
    till.line.script.append(problem(429, "too_many_device", {"Retry-After": "3"}))
    await till.client.drain()
    assert till.sleeps == [7.0, 90.0, 3600.0, 0.0, 0.0, 3.0]


@pytest.mark.parametrize(
    "answer",
    [
        problem(500, "internal_error"),
        problem(502),
        problem(429, "slow_down"),
        problem(200),
        problem(302),
        problem(401),
        problem(403),
        problem(410),
        problem(404),
        problem(409),
        problem(409, "queue_conflict"),
        problem(511, "network_authentication"),
    ],
)
async def test_what_is_not_the_servers_own_word_passes(world: World, answer: httpx.Response) -> None:
    """A proxy or a hotel's sign-in page signs nobody out: the same is sent again."""
    till = world.till("a")
    made = till.client.create("products", product())
    till.line.script.append(answer)
    with pytest.raises(errors.TroubleError):
        await till.client.sync_once()
    before = till.client.status.state
    await till.client.drain()
    assert uids(world.server.requests)[0] == [made.uid]
    assert [before, till.client.status.state] == ["backing_off", "idle"]


@pytest.mark.parametrize(
    ("status", "code", "kind", "state"),
    [
        (401, "unauthenticated", errors.SignedOutError, "held_signed_out"),
        (403, "foreign_client", errors.ForeignQueueError, "held_signed_out"),
        (403, "forbidden", errors.RefusedError, "held_signed_out"),
        (410, "tenant_gone", errors.TenantGoneError, "held_signed_out"),
        (422, "unsupported_protocol", errors.UpdateNeededError, "held_update_needed"),
        (400, "malformed", errors.UpdateNeededError, "held_update_needed"),
    ],
)
async def test_a_refusal_holds_the_queue(
    world: World, status: int, code: str, kind: type[errors.HeldError], state: str
) -> None:
    """Nothing is sent any more, nothing is lost, and the status says why; a release goes on where it stopped."""
    till = world.till("a")
    made = till.client.create("products", product())
    till.line.script.append(problem(status, code))
    for _ in range(3):
        with pytest.raises(kind):
            await till.client.drain()
    assert (len(till.line.sent), till.sleeps) == (1, [])
    now = till.client.status
    assert (now.state, now.reason, now.pending, now.oldest_pending_at) == (state, code, 1, made.timestamp)
    assert made.uid in till.client.export("pending")
    till.client.sign_in("owner:a")
    await till.client.drain()
    world.assert_settled(till)


async def test_a_revoked_token_holds_and_a_new_one_goes_on(world: World) -> None:
    """The queue outlives the sign-out."""
    till = world.till("a")
    till.client.create("products", product())
    world.server.revoked.add("owner:a")
    with pytest.raises(errors.SignedOutError):
        await till.client.drain()
    world.server.revoked.clear()
    till.client.sign_in("owner:a")
    await till.client.drain()
    world.assert_settled(till)


async def test_another_device_cannot_send_this_queue(world: World) -> None:
    """The server binds a client id to the device that used it first; the queue waits for its owner."""
    till = world.till("a")
    await till.client.drain()
    till.client.create("products", product())
    till.client.sign_in("owner:somebody-else")
    with pytest.raises(errors.ForeignQueueError):
        await till.client.drain()
    till.client.sign_in("owner:a")
    await till.client.drain()
    world.assert_settled(till)


async def test_a_batch_that_is_too_large_is_halved(world: World) -> None:
    """Until it fits, and the rest of this queue goes out in that size; later ones try the full size again."""
    till = world.till("a", batch=8)
    for index in range(10):
        till.client.create("products", product(f"Nr. {index}"))
    till.line.script += [problem(413), problem(413, "too_large")]
    await till.client.drain()
    assert [len(sent) for sent in uids(world.server.requests)][:5] == [2, 2, 2, 2, 2]
    for index in range(10):
        till.client.create("products", product(f"More {index}"))
    await till.client.drain()
    assert [len(sent) for sent in uids(world.server.requests)][-2:] == [8, 2]
    world.assert_settled(till)


async def test_a_single_mutation_that_is_too_large_backs_off(world: World) -> None:
    """Something before the server has a lower limit: the queue is kept for a better day."""
    till = world.till("a")
    till.client.create("products", product())
    till.line.script += [problem(413)]
    with pytest.raises(errors.UnexpectedAnswerError, match="smallest"):
        await till.client.sync_once()
    assert (till.client.status.state, till.client.status.pending) == ("backing_off", 1)


async def test_run_syncs_at_once_and_when_something_is_written(world: World) -> None:
    """No interval passes between a sale and its way home."""
    till = world.till("a", interval_s=1.0)
    idle = anyio.Event()

    async def never(_seconds: float) -> None:
        idle.set()
        await anyio.sleep_forever()

    object.__setattr__(till.client._loop._runtime, "sleep", never)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(till.client.run)
        await idle.wait()
        idle = anyio.Event()
        made = till.client.create("products", product())
        await idle.wait()
        tasks.cancel_scope.cancel()
    assert [sent for sent in uids(world.server.requests) if sent] == [[made.uid]]
    world.assert_settled(till)


async def test_run_looks_for_news_at_every_interval(world: World) -> None:
    """What others wrote arrives without a poke."""
    reader, writer = world.till("a", interval_s=30.0), world.till("b")
    made = writer.client.create("products", product())
    await writer.client.drain()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.client.run)
        while reader.sleeps.count(30.0) < 3:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert made.record_id in reader.client.records("products")
    assert len(reader.line.sent) >= 3


async def test_run_waits_for_a_release_and_goes_on(world: World) -> None:
    """A held loop makes no requests; signing in wakes it."""
    till = world.till("a")
    moments: list[Moment] = []
    till.client.watch(moments.append)
    world.server.revoked.add("owner:a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(till.client.run)
        while till.client.status.state != "held_signed_out":
            await anyio.lowlevel.checkpoint()
        till.client.create("products", product())
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert len(till.line.sent) == 1
        till.client.sign_in("owner:a:new")
        world.server.clients.clear()
        while till.client.status.pending:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    states = [moment.state for moment in moments]
    assert states[:4] == ["syncing", "held_signed_out", "idle", "syncing"]


async def test_a_cancelled_exchange_leaves_the_loop_ready(world: World) -> None:
    """Whoever stops waiting in the middle of a request can ask again."""
    till = world.till("a")
    till.client.create("products", product())
    with anyio.CancelScope() as scope:
        till.line.before = scope.cancel
        await till.client.drain()
        await anyio.lowlevel.checkpoint()
    till.line.before = lambda: None
    assert till.client.status.state in {"idle", "backing_off"}
    await till.client.drain()
    world.assert_settled(till)


async def test_two_drains_at_once_take_turns(world: World) -> None:
    """No two requests are under way together."""
    till = world.till("a", batch=1)
    for index in range(4):
        till.client.create("products", product(f"Nr. {index}"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(till.client.drain)
        tasks.start_soon(till.client.drain)
    assert [len(sent) for sent in uids(world.server.requests)] == [1, 1, 1, 1, 0]
    world.assert_settled(till)


def test_every_state_can_be_left() -> None:
    """The machine has no dead end, and ends up syncing again from everywhere."""
    states = {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    reach = {state: {after for (before, _), after in TRANSITIONS.items() if before == state} for state in states}
    for state in states:
        found, new = set[str](), {state}
        while new - found:
            found |= new
            new = {after for one in new for after in reach[one]}
        assert found == states
