"""A provider that keeps every promise an operation can make, and counts effects: the oracle of the promises' tests.

A stand-in, where what matters is when: keys and what look-ups show grow old by the tests' own clock. A real receiver
takes its place in `test_promised.py`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import anyio
from pydantic import BaseModel

from server.ports import Answer, Call, Operation, Promise, Route
from server.resilience.errors import TransientError
from sync.collection import Fields

PROVIDER = "http"


class Effect(NamedTuple):
    """Something the bank did: by which operation, for which record, under which key, when (ms)."""

    operation: str
    record_id: str
    key: str
    at_ms: int
    payload: str
    reference: str
    named: str | None


@dataclass(frozen=True)
class Habits:
    """What the bank declares of an operation, and keeps to; seconds."""

    promise: Promise
    key_life_s: float | None = None
    lag_s: float = 0
    can_look: bool = True
    deadline_s: float | None = None


class Bank:
    """One operation a name, with its habits."""

    name = PROVIDER
    settings = BaseModel

    def __init__(self, clock: Callable[[], int], **habits: Habits) -> None:
        self._clock, self._habits = clock, habits
        self.effects: list[Effect] = []
        self.calls: list[tuple[str, Call]] = []
        self.looks: list[tuple[str, Call]] = []
        self.during: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        self.trouble: list[str] = []
        """What goes wrong with the next calls: `lost` takes effect and says nothing, `down` and `refused` do not."""

    def operations(self) -> Mapping[str, Operation]:
        return {name: self._operation(name, habits) for name, habits in self._habits.items()}

    def done(self, operation: str, record_id: str) -> int:
        """How often it took effect."""
        return sum((one.operation, one.record_id) == (operation, record_id) for one in self.effects)

    def _operation(self, name: str, habits: Habits) -> Operation:
        async def send(call: Call) -> Answer:
            return await self._send(name, habits, call)

        async def look_up(call: Call) -> Answer | None:
            return self._look_up(name, habits, call)

        return Operation(
            habits.promise,
            send,
            look_up if habits.can_look and habits.promise in {"keyed", "lookup"} else None,
            key_life_s=habits.key_life_s,
            lag_s=habits.lag_s,
            deadline_s=habits.deadline_s,
        )

    async def _send(self, name: str, habits: Habits, call: Call) -> Answer:
        self.calls.append((name, call))
        await self.during()
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble == "down":
            raise TransientError("connect_failed")
        if trouble == "refused":
            return Answer(400)
        reference = self._take(name, habits, call)
        if trouble == "lost":
            return Answer(504)
        return Answer(200, reference=reference)

    def _take(self, name: str, habits: Habits, call: Call) -> str:
        now = self._clock()
        life_ms = (habits.key_life_s or 10**9) * 1000 if habits.promise == "keyed" else -1
        for known in self.effects:
            if known.key == call.idempotency_key and now - known.at_ms < life_ms:
                return known.reference
        reference = f"{name}-{len(self.effects) + 1}"
        effect = (name, call.record_id, call.idempotency_key, now, call.payload, reference, call.reference)
        self.effects.append(Effect(*effect))
        return reference

    def _look_up(self, name: str, habits: Habits, call: Call) -> Answer | None:
        self.looks.append((name, call))
        for known in self.effects:
            if known.key == call.idempotency_key and self._clock() - known.at_ms >= habits.lag_s * 1000:
                return Answer(200, reference=known.reference)
        return None


def always(_before: Fields | None, _after: Fields) -> bool:
    """Every change."""
    return True


def by_hand(before: Fields | None, after: Fields) -> bool:
    """What a person changes; not what is written back."""
    return before is None or any(before[name] != after[name] for name in ("status", "note"))


def voided(before: Fields | None, after: Fields) -> bool:
    """A sale that no longer counts."""
    return after["status"] == "voided" and before is not None and before["status"] != "voided"


def told(state: str, reference: str | None) -> Fields:
    """What a sale is told."""
    return {"forward_status": state, **({} if reference is None else {"forward_reference": reference})}


def route(name: str = "sales.charge", operation: str = "charge", **terms: Any) -> Route:
    """A route of sales to the bank: creations only, unless the terms say otherwise."""
    known = {"collection": "sales", "when": lambda before, _after: before is None, "write_back": told, **terms}
    return Route(name, provider=PROVIDER, operation=operation, **known)
