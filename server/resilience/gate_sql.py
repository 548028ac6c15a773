"""Gates as they are stored: one row an endpoint, shared by all processes, changed inside the transaction it is about.

Rules:

1. Who changes a gate holds its row's lock. A claim that finds it taken leaves the endpoint to whoever has it
   (`SKIP LOCKED`): it must hold up no other work of its writer's. A settle waits.
2. An endpoint without limits whose breaker is closed is not asked: its claim costs no statement. Where nothing failed
   lately a success is not written down either.
3. `ready_ms` is stored with every change, so that every process knows without trying when to come back.
"""

import json
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.resilience.breaker import Breaker, Sign
from server.resilience.gate import Gate, Kind, allowed, believed, ready_ms, served, take, turned_away
from server.resilience.limits import Limits
from server.storage.statement import Statement
from server.storage.writer import Writing

_STATE = Breaker._fields
_NEW = Breaker()
_ENSURE = Statement(
    f"""INSERT INTO gates (tenant_id, endpoint_id, {", ".join(_STATE)}, full_us, spent, turns, ready_ms)
       VALUES (:tenant_id, :endpoint_id, {", ".join(f":{name}" for name in _STATE)}, 0, '[]', '[]', 0)
       ON CONFLICT (tenant_id, endpoint_id) DO NOTHING"""  # noqa: S608  # our own text
)
_LOAD_TEXT = f"""SELECT {", ".join(_STATE)}, full_us, spent, turns FROM gates
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""  # noqa: S608
_TRY = Statement(_LOAD_TEXT, postgresql=_LOAD_TEXT + " FOR UPDATE SKIP LOCKED")
_LOCK = Statement(_LOAD_TEXT, postgresql=_LOAD_TEXT + " FOR UPDATE")
_STORE = Statement(
    f"""UPDATE gates SET {", ".join(f"{name} = :{name}" for name in _STATE)}, full_us = :full_us, spent = :spent,
       turns = :turns, ready_ms = :ready_ms WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""  # noqa: S608
)


class GateKey(NamedTuple):
    """Whose gate."""

    tenant_id: str
    endpoint_id: str


class Asking(NamedTuple):
    """Whose gate, who wants to pass, and how long a probe of its may take."""

    key: GateKey
    kind: Kind
    lease_ms: int


class Held(NamedTuple):
    """A gate under our lock, until the transaction ends."""

    asking: Asking
    limits: Limits
    gate: Gate

    def allowed(self, writing: Writing, wanted: int) -> int:
        """How many of `wanted` may pass now."""
        return allowed(self.gate, self.limits, writing.now_ms, wanted, self.asking.kind)

    async def take(self, writing: Writing, count: int) -> int | None:
        """Let `count` pass; the fence where the one that passes is a probe."""
        gate = take(self.gate, self.limits, writing.now_ms, count, self.asking.lease_ms)
        await _store(writing, self.asking.key, self.limits, served(gate, self.asking.kind))
        return gate.breaker.fence if gate.breaker.fence != self.gate.breaker.fence else None

    async def turn_away(self, writing: Writing) -> bool:
        """Note who comes next, and when; False where it could be at once, but for one whose turn it is."""
        gate = take(self.gate, self.limits, writing.now_ms, 0, self.asking.lease_ms)
        gate = turned_away(gate, self.limits, writing.now_ms, self.asking.kind)
        await _store(writing, self.asking.key, self.limits, gate)
        return ready_ms(gate, self.limits, writing.now_ms) > writing.now_ms


async def try_gate(writing: Writing, asking: Asking, limits: Limits, *, exists: bool) -> Held | None:
    """The gate, made where there was none; None where another transaction has it."""
    if not exists:
        await writing.tx.execute(_ENSURE, {**asking.key._asdict(), **_NEW._asdict()})
    for row in await writing.tx.fetch(_TRY, asking.key):
        return Held(asking, limits, believed(_gate(row), limits, writing.now_ms, asking.lease_ms))
    return None


async def report(writing: Writing, key: GateKey, limits: Limits, told: "Told") -> bool:
    """Tell the breaker what came of a call, in the transaction that settles it; whether that closed it."""
    if not limits.breaker or (
        told.fence is None and (told.sign == "nothing" or (told.sign == "worked" and told.quiet))
    ):
        return False
    before = await _lock(writing, key)
    after = before.breaker.report(told.sign, told.fence, limits, writing.now_ms, told.dice)
    await _change(writing, key, limits, before, after)
    return before.breaker.state != "closed" and after.state == "closed"


async def give_up(writing: Writing, key: GateKey, limits: Limits, fence: int) -> None:
    """A probe was not sent after all."""
    before = await _lock(writing, key)
    await _change(writing, key, limits, before, before.breaker.give_up(fence, writing.now_ms))


class Told(NamedTuple):
    """What came of a call.

    `fence` where it was a probe, `quiet` where nothing had failed lately when it was claimed, `dice` in [0, 1).
    """

    sign: Sign
    fence: int | None
    quiet: bool
    dice: float


async def _lock(writing: Writing, key: GateKey) -> Gate:
    rows = await writing.tx.fetch(_LOCK, key)
    if not rows:
        await writing.tx.execute(_ENSURE, {**key._asdict(), **_NEW._asdict()})
        rows = await writing.tx.fetch(_LOCK, key)
    return _gate(rows[0])


async def _change(writing: Writing, key: GateKey, limits: Limits, before: Gate, breaker: Breaker) -> None:
    if breaker != before.breaker:
        await _store(writing, key, limits, before._replace(breaker=breaker))


async def _store(writing: Writing, key: GateKey, limits: Limits, gate: Gate) -> None:
    row = {
        **key._asdict(),
        **gate.breaker._asdict(),
        "full_us": gate.full_us,
        "spent": to_json(gate.spent).decode(),
        "turns": to_json(gate.turns).decode(),
        "ready_ms": ready_ms(gate, limits, writing.now_ms),
    }
    await writing.tx.execute(_STORE, row)


def _gate(row: Any) -> Gate:
    *breaker, full_us, spent, turns = row
    return Gate(
        Breaker(*breaker),
        full_us,
        tuple((at, count) for at, count in json.loads(spent)),
        tuple((kind, until_ms) for kind, until_ms in json.loads(turns)),
    )
