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
from server.resilience.gate import Gate, allowed, believed, ready_ms, take
from server.resilience.limits import Limits
from server.storage.statement import Statement
from server.storage.writer import Writing

_STATE = Breaker._fields
_NEW = Breaker()
_ENSURE = Statement(
    f"""INSERT INTO gates (tenant_id, endpoint_id, {", ".join(_STATE)}, full_us, spent, ready_ms)
       VALUES (:tenant_id, :endpoint_id, {", ".join(f":{name}" for name in _STATE)}, 0, '[]', 0)
       ON CONFLICT (tenant_id, endpoint_id) DO NOTHING"""  # noqa: S608  # our own text
)
_LOAD_TEXT = f"""SELECT {", ".join(_STATE)}, full_us, spent FROM gates
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""  # noqa: S608
_TRY = Statement(_LOAD_TEXT, postgresql=_LOAD_TEXT + " FOR UPDATE SKIP LOCKED")
_LOCK = Statement(_LOAD_TEXT, postgresql=_LOAD_TEXT + " FOR UPDATE")
_STORE = Statement(
    f"""UPDATE gates SET {", ".join(f"{name} = :{name}" for name in _STATE)}, full_us = :full_us, spent = :spent,
       ready_ms = :ready_ms WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""  # noqa: S608
)


class GateKey(NamedTuple):
    """Whose gate."""

    tenant_id: str
    endpoint_id: str


class Held(NamedTuple):
    """A gate under our lock, until the transaction ends."""

    key: GateKey
    limits: Limits
    gate: Gate

    def allowed(self, writing: Writing, wanted: int) -> int:
        """How many of `wanted` may pass now."""
        return allowed(self.gate, self.limits, writing.now_ms, wanted)

    async def take(self, writing: Writing, count: int, lease_ms: int) -> int | None:
        """Let `count` pass, none to note only when to come back; the fence where the one that passes is a probe."""
        gate = take(self.gate, self.limits, writing.now_ms, count, lease_ms)
        await self._store(writing, gate)
        return gate.breaker.fence if gate.breaker.fence != self.gate.breaker.fence else None

    async def change(self, writing: Writing, breaker: Breaker) -> None:
        """Store another state of its breaker."""
        if breaker != self.gate.breaker:
            await self._store(writing, self.gate._replace(breaker=breaker))

    async def _store(self, writing: Writing, gate: Gate) -> None:
        row = {
            **self.key._asdict(),
            **gate.breaker._asdict(),
            "full_us": gate.full_us,
            "spent": to_json(gate.spent).decode(),
            "ready_ms": ready_ms(gate, self.limits, writing.now_ms),
        }
        await writing.tx.execute(_STORE, row)


async def try_gate(writing: Writing, key: GateKey, limits: Limits, lease_ms: int, *, exists: bool) -> Held | None:
    """The gate, made where there was none; None where another transaction has it. A probe's lease is `lease_ms`."""
    if not exists:
        await writing.tx.execute(_ENSURE, {**key._asdict(), **_NEW._asdict()})
    held = _held(key, limits, await writing.tx.fetch(_TRY, key))
    return held and held._replace(gate=believed(held.gate, limits, writing.now_ms, lease_ms))


async def report(writing: Writing, key: GateKey, limits: Limits, told: "Told") -> bool:
    """Tell the breaker what came of a call, in the transaction that settles it; whether that closed it."""
    if not limits.breaker or (
        told.fence is None and (told.sign == "nothing" or (told.sign == "worked" and told.quiet))
    ):
        return False
    held = await _lock(writing, key, limits)
    breaker = held.gate.breaker.report(told.sign, told.fence, limits, writing.now_ms, told.dice)
    await held.change(writing, breaker)
    return held.gate.breaker.state != "closed" and breaker.state == "closed"


async def give_up(writing: Writing, key: GateKey, limits: Limits, fence: int) -> None:
    """A probe was not sent after all."""
    held = await _lock(writing, key, limits)
    await held.change(writing, held.gate.breaker.give_up(fence, writing.now_ms))


class Told(NamedTuple):
    """What came of a call.

    `fence` where it was a probe, `quiet` where nothing had failed lately when it was claimed, `dice` in [0, 1).
    """

    sign: Sign
    fence: int | None
    quiet: bool
    dice: float


async def _lock(writing: Writing, key: GateKey, limits: Limits) -> Held:
    held = _held(key, limits, await writing.tx.fetch(_LOCK, key))
    if held is None:
        await writing.tx.execute(_ENSURE, {**key._asdict(), **_NEW._asdict()})
        held = _held(key, limits, await writing.tx.fetch(_LOCK, key))
    if held is None:
        raise LookupError("a gate that was just made is gone")
    return held


def _held(key: GateKey, limits: Limits, rows: Any) -> Held | None:
    for row in rows:
        spent = tuple((at, count) for at, count in json.loads(row[-1]))
        return Held(key, limits, Gate(Breaker(*row[:-2]), row[-2], spent))
    return None
