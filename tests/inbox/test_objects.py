"""One object at a time: what is fetched of it is fetched, read and stored before the next event of it is looked at."""

from collections import Counter
from typing import TypeVar, cast

import anyio

from server.inbox.processor import Processor
from server.ports import Answer, Draft, Fetched, Reading, WebhookEvent
from server.storage.open import open_database
from server.storage.writer import Job, Writer
from tests.inbox.mailroom import Mailroom, scripted

T = TypeVar("T")


class Objects:
    """The vendor's objects, which change between events; a fetch takes a while, the first one longest."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.busy: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.at_once = 0

    async def fetch(self, event: WebhookEvent) -> Fetched:
        """The object as it was when it was asked for."""
        name = event.event_id[0]
        self.busy[name] += 1
        self.most[name] = max(self.most[name], self.busy[name])
        self.at_once = max(self.at_once, self.busy.total())
        seen = self.now[name]
        for _ in range(20 if seen == 1 else 2):  # an older answer takes longer
            await anyio.lowlevel.checkpoint()
        self.now[name] += 1  # the vendor goes on meanwhile
        self.busy[name] -= 1
        return Fetched(Answer(200), str(seen).encode())

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """A customer called by the object and how often it had changed; nothing says how old that is."""
        assert fetched is not None
        name = event.event_id[0]
        said = (fetched.content or b"").decode()
        return Reading([Draft("customers", name, event.event_id, {"name": f"{name} {said}"})])


async def test_events_of_one_object_are_taken_in_turns_by_all_processes(room: Mailroom, database_url: str) -> None:
    """So the last fetch is the last to be stored; other objects are not held up."""
    objects, source = Objects(), scripted(room)
    source.fetching, source.reading = objects.fetch, objects.read
    address = await room.add("scripted", {}, {})
    for number in range(6):
        for name in "abc":
            await room.tell(address, f"{name}{number}", "x", about=f"object/{name}")
    databases = [open_database(database_url) for _ in range(3)]
    writers = [Writer(database, clock=room.shop.clock, nonce=lambda: room.shop.new_id()[:32]) for database in databases]
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.run)
        processors: list[Processor] = []
        for place, (database, writer) in enumerate(zip(databases, writers, strict=True)):
            processor = room.processor(owner=f"p{place}")
            processor.database, processor.writer = database, writer
            processor.__post_init__()
            processors.append(processor)
        async with anyio.create_task_group() as working:
            for processor in processors:
                working.start_soon(processor.drain)
        tasks.cancel_scope.cancel()
    for database in databases:
        await database.close()
    await room.processor().drain()
    assert await room.states() == {"done": 18}
    assert objects.most == Counter("abc")
    assert objects.at_once == 3
    assert sorted(fields["name"] for fields in await room.records("customers")) == ["a 5", "b 5", "c 5"]


async def test_a_failing_event_does_not_hold_up_its_object(room: Mailroom) -> None:
    """While it waits to be tried again, later ones of its object go ahead."""
    source = scripted(room)
    source.fetching = lambda event: Fetched(Answer(503 if event.event_id == "a0" else 200), b"x")
    address = await room.add("scripted", {}, {})
    for number in range(2):
        await room.tell(address, f"a{number}", f"Rossi {number}", about="object/a")
    await room.processor().drain()
    assert [(event.event_id, event.state) for event in await room.events()] == [("a0", "pending"), ("a1", "done")]


async def test_whoever_died_with_an_object_in_hand_is_followed_before_the_next_event_of_it(room: Mailroom) -> None:
    """A lapsed lease is the object's still, until it was taken over."""
    address = await room.add("scripted", {}, {})
    for number in range(2):
        await room.tell(address, f"a{number}", "Rossi", about="object/a")
    await room.execute("UPDATE inbox SET state = 'leased' WHERE event_id = 'a0'")
    source = scripted(room)
    await room.processor().drain()
    assert source.fetched == ["a0", "a1"]
    assert await room.states() == {"done": 2}


class Counting:
    """A writer that counts what it is handed."""

    def __init__(self, real: Writer) -> None:
        self._real, self.jobs = real, 0

    async def submit(self, job: Job[T]) -> T:
        self.jobs += 1
        return await self._real.submit(job)


async def test_a_processor_rests_while_another_has_all_objects_in_hand(room: Mailroom) -> None:
    """The other's fetch takes half a minute: that costs a claim a second, not twenty."""
    source, release = scripted(room), anyio.Event()
    address = await room.add("scripted", {}, {})
    for number in range(2):
        await room.tell(address, f"a{number}", "Rossi", about="object/a")

    async def hang(_event: WebhookEvent) -> None:
        await release.wait()

    source.fetching = hang
    one, two = room.processor(), room.processor(owner="two")
    counting, rests = Counting(room.shop.writer), list[float]()
    two.writer = cast("Writer", counting)

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        await room.pass_time(seconds)
        if sum(rests) >= 30:
            release.set()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()

    two.sleep = sleep
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.drain)
        while not source.fetched:
            await anyio.lowlevel.checkpoint()
        tasks.start_soon(two.run)
        with anyio.fail_after(20):
            while await room.states() != {"done": 2}:
                await anyio.sleep(0.005)
        two.stop()
    assert len(rests) <= 31
    assert counting.jobs <= 31
