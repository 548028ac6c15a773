"""Entering an endpoint: what everybody does who is about to call there, in the transaction of the claim.

Rules:

1. Nobody enters where the endpoint is paused, or asked to be left alone (`Retry-After`).
2. Its breaker and limits let through what they let through; whoever wants to call and may not costs no attempt.
3. An endpoint without limits whose breaker is closed costs its own row's look, and nothing more.
4. Whoever was let through says what came of it in the transaction that stores that, or that it did not call after all.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from server.resilience.breaker import Sign
from server.resilience.gate import believed_ms
from server.resilience.gate_sql import Asking, GateKey, Held, Told, give_up, report, try_gate
from server.resilience.limits import Limits, read_limits
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

_LOOK_TEXT = """SELECT e.provider, e.settings, e.sealed, e.paused, e.not_before, g.state,
       g.failures + g.failed + g.failed_before
       FROM endpoints AS e LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id
       WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id"""
_LOOK = Statement(_LOOK_TEXT)
_LOCK = Statement(_LOOK_TEXT, postgresql=_LOOK_TEXT + " FOR NO KEY UPDATE OF e SKIP LOCKED")
_LEAVE_ALONE = Statement(
    """UPDATE endpoints SET not_before = :not_before WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND (not_before IS NULL OR not_before < :not_before)"""
)


def nobody() -> None:
    """Nobody wants to know that an endpoint works again."""


class Passed(NamedTuple):
    """Calls that were let through: their limits, and how the breaker was found.

    `quiet` where nothing had failed there lately. `probe` is the fence of a call that is to show whether the endpoint
    works again.
    """

    limits: Limits
    quiet: bool = True
    probe: int | None = None


class Entry(NamedTuple):
    """An endpoint as whoever is about to call finds it; its gate is `held` where that has something to say."""

    provider: str
    settings: str
    sealed: str
    limits: Limits
    quiet: bool
    held: Held | None

    def allowed(self, writing: Writing, wanted: int) -> int:
        """How many of `wanted` may be called now."""
        most = min(wanted, self.limits.concurrency or wanted)
        return most if self.held is None else self.held.allowed(writing, most)

    async def take(self, writing: Writing, count: int) -> Passed:
        """Take `count` calls, one at least."""
        probe = None if self.held is None else await self.held.take(writing, count)
        return Passed(self.limits, self.quiet, probe)

    async def turn_away(self, writing: Writing) -> bool:
        """Note that nothing could pass; whether it is known when something can."""
        return self.held is None or await self.held.turn_away(writing)


class Look(NamedTuple):
    """When somebody looks for what is due, the leases it gives, and what settings declare by default, by provider."""

    now_ms: int
    lease_ms: int
    forms: Mapping[str, type[BaseModel]] = {}

    def believed_ms(self, ready_ms: int, provider: str, settings: str) -> int:
        """When a gate is ready; now, where it cannot be that long until then."""
        if ready_ms <= self.now_ms:
            return ready_ms
        limits = read_limits(json.loads(settings), self.forms.get(provider))
        return believed_ms(ready_ms, limits, self.now_ms, self.lease_ms)


class Found(NamedTuple):
    """An endpoint's row and what its gate says at a glance, in the order in which claims select them.

    `state` is None where it has no gate yet.
    """

    provider: str
    settings: str
    sealed: str
    paused: bool
    not_before: str | None
    state: str | None
    failed: int | None

    def is_open(self, now: str) -> bool:
        """Whether it is neither paused nor asked to be left alone."""
        return not self.paused and (self.not_before is None or self.not_before <= now)

    async def enter(self, writing: Writing, asking: Asking, form: type[BaseModel] | None) -> Entry | None:
        """Enter; None where its gate is in another's hands."""
        limits, held = read_limits(json.loads(self.settings), form), None
        if limits.throttles or self.state not in {None, "closed"}:
            held = await try_gate(writing, asking, limits, exists=self.state is not None)
            if held is None:
                return None
        return Entry(self.provider, self.settings, self.sealed, limits, not self.failed, held)


async def enter(
    writing: Writing, asking: Asking, form: type[BaseModel] | None, *, locked: bool = False
) -> Entry | None:
    """Enter, `locked` so that nobody else does who locks too.

    None where it is paused, asked to be left alone, or in another's hands.
    """
    for row in await writing.tx.fetch(_LOCK if locked else _LOOK, asking.key):
        found = Found(*row)
        if found.is_open(writing.now):
            return await found.enter(writing, asking, form)
    return None


async def told(writing: Writing, key: GateKey, passed: Passed, sign: Sign | None, dice: float) -> bool:
    """What came of a call, None where there was none after all; whether the breaker closed by it."""
    if sign is not None:
        return await report(writing, key, passed.limits, Told(sign, passed.probe, passed.quiet, dice))
    if passed.probe is not None:
        await give_up(writing, key, passed.limits, passed.probe)
    return False


async def leave_alone(writing: Writing, key: GateKey, until_ms: int | None) -> None:
    """Note until when an endpoint asked to be left alone, where it did; an earlier wish for longer stands."""
    if until_ms is not None:
        await writing.tx.execute(_LEAVE_ALONE, {**key._asdict(), "not_before": encode_instant(until_ms)})
