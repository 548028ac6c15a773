"""Random histories: a few clients with crooked clocks write to one record, some knowing more than others."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from sync.judge import Judgement
from sync.protocol import Mutation
from sync.record import Record
from tests.kernel.making import NOTE, SHELF, client, mutation, record_id, uuid
from tests.kernel.memory import MemoryServer

HOUR_MS = 3_600_000
STEP_MS = 1_000
"""How far the server's clock goes on from one push to the next."""


@dataclass(frozen=True, slots=True)
class Step:
    """One client's next mutation.

    `pulls` first: it then knows the record as it stands, else as it last pulled it. A `careless` one sends values along
    with a deletion or restoring.
    """

    client: int
    op: Literal["create", "update", "delete", "restore"]
    fields: dict[str, Any] = field(default_factory=dict)
    increments: dict[str, str] = field(default_factory=dict)
    skew_ms: int = 0
    pulls: bool = False
    careless: bool = False


class Played(NamedTuple):
    """A mutation and what it did."""

    mutation: Mutation
    client_id: str
    now: int
    before: Record | None
    after: Record | None
    judgement: Judgement


WORDS = st.sampled_from(("a", "b", "c"))
VALUES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "notes": {
        "shop": st.sampled_from(("bar", "kiosk")),
        "kind": st.sampled_from(("memo", "memo", "memo", "other")),
        "title": WORDS,
        "colour": st.none() | WORDS,
        "pinned": st.booleans(),
        "price": st.sampled_from(("1.50", "2.00")),
    },
    "shelves": {"name": st.sampled_from(("a", "b", "c", "a", "b", "c", "forbidden")), "colour": st.none() | WORDS},
}
DELTAS = {
    "notes": {"seen": st.sampled_from(("1.000", "-2.500")), "paid": st.sampled_from(("99999999.99", "-0.01", "0.00"))},
    "shelves": {"stock": st.sampled_from(("1.000", "-2.500"))},
}
BEGINNINGS = {"notes": NOTE, "shelves": SHELF}


def steps(collection: str, *, clients: int = 3, skew_ms: int = HOUR_MS) -> st.SearchStrategy[Step]:
    """Any next step; clocks are wrong by up to `skew_ms` either way."""
    return st.builds(
        Step,
        client=st.integers(1, clients),
        op=st.sampled_from(("update", "update", "update", "delete", "restore", "create")),
        fields=st.fixed_dictionaries({}, optional=VALUES[collection]),
        increments=st.fixed_dictionaries({}, optional=DELTAS[collection]),
        skew_ms=st.integers(-skew_ms, skew_ms),
        pulls=st.sampled_from((False, False, False, True)),
        careless=st.sampled_from((False, False, False, True)),
    )


class History(NamedTuple):
    """What happens to one collection."""

    collection: str
    steps: list[Step]


def histories(**bounds: int) -> st.SearchStrategy[History]:
    """Some steps after each other, in the one collection or the other."""
    notes, shelves = (st.lists(steps(name, **bounds), min_size=2, max_size=8) for name in ("notes", "shelves"))
    return st.builds(History, st.just("notes"), notes) | st.builds(History, st.just("shelves"), shelves)


def play(server: MemoryServer, history: History) -> Iterator[Played]:
    """Let a history happen, after an author of its own made the record and everybody pulled it."""
    collection = history.collection
    made = mutation("create", collection=collection, stamp=-HOUR_MS, fields=BEGINNINGS[collection], uid=uuid(0, 1))
    server.push(client(0), [made], now=-HOUR_MS)
    key = (collection, record_id(1))
    pulled: dict[int, int] = {}
    for turn, step in enumerate(history.steps):
        now = turn * STEP_MS
        before = server.records[key]
        if step.pulls:
            pulled[step.client] = before.version
        made = _mutation(collection, step, server.last[client(step.client)] + 1, now)
        made["base_version"] = pulled.get(step.client, 1)
        judgement = server.push(client(step.client), [made], now=now)
        yield Played(made, client(step.client), now, before, server.records[key], judgement)


def _mutation(collection: str, step: Step, mutation_id: int, now: int) -> Mutation:
    made = mutation(step.op, collection=collection, stamp=now + step.skew_ms)
    beginning = BEGINNINGS[collection] if step.op == "create" else {}
    made |= {"mutation_id": mutation_id, "uid": uuid(step.client, mutation_id)}
    if step.careless or step.op in {"create", "update"}:
        made |= {"fields": beginning | step.fields, "increments": step.increments}
    return made
