"""The work: pushes by one client and by many, a whole pull, one change and its way to another client.

Every workload checks what came back: a figure for work that was not done is worth nothing.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pydantic_core import from_json

from benchmarks.figures import Figure, measured
from benchmarks.load import Answer, Connection, encoded
from benchmarks.peer import Queue, Record, Request, record_of, uuid7
from benchmarks.records import chunks
from benchmarks.target import Target

BATCH, PAGE = 100, 1000
_CURSOR = re.compile(rb'"cursor":"([^"]+)"')


class WrongAnswerError(Exception):
    """The server did not do the work it was measured at."""


class Known(NamedTuple):
    """A pulled record and the version it had."""

    record: Record
    version: int


class Page(NamedTuple):
    """A pulled page."""

    records: dict[str, Known]
    cursor: str | None
    more: bool


async def push(target: Target, jobs: Sequence[tuple[Queue, Sequence[Record]]], batch: int = BATCH) -> Figure:
    """Each queue pushes its records over a connection of its own, all at once."""
    raws = [[encoded(queue.create(part)) for part in chunks(records, batch)] for queue, records in jobs]
    count = sum(len(records) for _, records in jobs)
    with _connections(target, len(jobs)) as connections, measured(count, target.pids) as figure:
        sent = zip(connections, raws, strict=True)
        answers = await asyncio.gather(*(connection.send_all(queue) for connection, queue in sent))
    flat = [answer for one in answers for answer in one]
    applied = sum(answer.body.count(b'"status":"applied"') for answer in flat)
    if applied != count or any(answer.status != 200 for answer in flat):
        raise WrongAnswerError(f"{applied} of {count} applied: {flat[-1].status} {flat[-1].body[:300]!r}")
    figure.latencies = [answer.seconds for answer in flat]
    return figure


async def pull(target: Target, expected: int) -> tuple[Figure, dict[str, Known], str | None]:
    """A fresh client pulls everything; the seconds are those of the server, without our reading of its pages."""
    reader, found, latencies = target.queue(-1), dict[str, Known](), list[float]()
    page = Page({}, None, more=True)
    with _connections(target, 1) as (connection,), measured(expected, target.pids) as figure:
        while page.more:
            answer = await connection.send(encoded(reader.pull(page.cursor, PAGE)))
            page = page_of(answer)
            found |= page.records
            latencies.append(answer.seconds)
    if len(found) != expected:
        raise WrongAnswerError(f"pulled {len(found)} of {expected}")
    figure.latencies, figure.seconds = latencies, sum(latencies)
    return figure, found, page.cursor


async def pull_together(target: Target, clients: int, expected: int) -> Figure:
    """As many fresh clients each pull everything, at once; pages are counted here, not read."""
    with _connections(target, clients) as connections, measured(clients * expected, target.pids) as figure:
        done = await asyncio.gather(*(_pull_counting(target.queue(-1), one) for one in connections))
    if any(found != expected for found, _ in done):
        raise WrongAnswerError(f"pulled {[found for found, _ in done]}, not {expected} each")
    figure.latencies = [seconds for _, latencies in done for seconds in latencies]
    return figure


async def _pull_counting(reader: Queue, connection: Connection) -> tuple[int, list[float]]:
    found, latencies, cursor, more = 0, list[float](), None, True
    while more:
        answer = await connection.send(encoded(reader.pull(cursor, PAGE)))
        head, _, changes = answer.body.partition(b'"changes":')
        told = _CURSOR.search(head)
        if told is None:
            raise WrongAnswerError(f"pull: {answer.status} {answer.body[:300]!r}")
        cursor, more = told[1].decode(), b'"more":true' in head
        found += changes.count(b'"record_id"')
        latencies.append(answer.seconds)
    return found, latencies


async def changes(target: Target, writer: Queue, known: Sequence[Known], cursor: str | None) -> Figure:
    """Rounds of one change by one client until another one has it; latencies are of whole rounds."""
    reader, rounds = target.queue(-1), list[float]()
    with _connections(target, 2) as (up, down), measured(len(known), target.pids) as figure:
        for number, one in enumerate(known):
            changed = {**one.record, "note": f"cambiata {number}"}
            sent = await up.send(encoded(writer.update([(changed, one.version)])))
            told = await down.send(encoded(reader.pull(cursor, PAGE)))
            page = page_of(told)
            cursor = page.cursor
            if page.records.get(one.record["id"]) != Known(changed, one.version + 1):
                raise WrongAnswerError(f"the change did not arrive: {sent.body[:300]!r}")
            rounds.append(sent.seconds + told.seconds)
    figure.latencies, figure.seconds = rounds, sum(rounds)
    return figure


async def conflicts(target: Target, count: int) -> Figure:
    """New prices for products, every second of which somebody else has priced meanwhile: that many conflicts open."""
    mine, other, ids = target.queue(-1), target.queue(-1), [uuid7() for _ in range(count)]
    await _priced(target, [mine.products(part) for part in chunks(ids, BATCH)])
    await _priced(target, [other.prices(part, "1.30") for part in chunks(ids[::2], BATCH)])
    requests = [mine.prices(part, "1.40") for part in chunks(ids, BATCH)]
    with measured(count, target.pids) as figure:
        answers = await _priced(target, requests)
    found = [sum(one.body.count(said) for one in answers) for said in (b'"status":"applied"', b'"status":"conflict"')]
    if found != [count - (count + 1) // 2, (count + 1) // 2]:
        raise WrongAnswerError(f"{found[0]} applied and {found[1]} in conflict of {count}")
    figure.latencies = [answer.seconds for answer in answers]
    return figure


async def _priced(target: Target, requests: Sequence[Request]) -> Sequence[Answer]:
    with _connections(target, 1) as (connection,):
        return await connection.send_all([encoded(request) for request in requests])


@contextmanager
def _connections(target: Target, count: int) -> Iterator[list[Connection]]:
    made = [Connection(target.port) for _ in range(count)]
    try:
        yield made
    finally:
        for connection in made:
            connection.close()


def page_of(answer: Answer) -> Page:
    """A pull's answer, read. Raises WrongAnswerError."""
    if answer.status != 200:
        raise WrongAnswerError(f"pull: {answer.status} {answer.body[:300]!r}")
    page = from_json(answer.body)
    found = {
        change["record_id"]: Known(record_of(change["record_id"], change["fields"]), change["version"])
        for change in page["changes"]
    }
    return Page(found, page["cursor"], page["more"])
