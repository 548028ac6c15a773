"""The gate of an endpoint: its breaker and its limiters as one state, asked and told by whoever calls there. Pure.

Rules:

1. A claim asks how many may pass and then takes exactly so many as it found to send: nothing is ever given back.
2. Deliveries, fetches and polls share the limits, and none starves another: who was turned away is next in turn. Others
   leave a call for each that has waited longer, for as long as it may take that one to come back for it.
3. A moment further ahead than the limits allow comes from a clock that was set back, or from other limits, and counts
   as now.
"""

from typing import Literal, NamedTuple

from server.resilience.breaker import Breaker
from server.resilience.limiter import GRID, SKEW_MS, Rate, Spent, Window, draw, slide
from server.resilience.limits import Limits

Kind = Literal["deliver", "fetch", "poll"]
"""Who calls: the outbox, an event that points at something, a poll."""

TURN_MS = 2_000
"""For how long a turn is kept from the moment on at which it could be taken: whoever waits may be gone."""

Turns = tuple[tuple[Kind, int], ...]
"""Who was turned away, in order, and until when its turn is kept."""


class Gate(NamedTuple):
    """What is stored of an endpoint's gate; a new one is open and full."""

    breaker: Breaker = Breaker()
    full_us: int = 0
    spent: Spent = ()
    turns: Turns = ()


def longest_ms(limits: Limits, lease_ms: int) -> int:
    """How far ahead the moment can be at which a gate lets the next call through; `lease_ms` is a probe's."""
    longest = 0.0
    if limits.breaker:
        longest = max(limits.breaker_cap * 1000, lease_ms)
    if limits.rate is not None:
        longest = max(longest, 1000 / limits.rate)
    if limits.window_limit is not None:
        longest = max(longest, limits.window * 1000 * (1 + 1 / GRID))
    return int(longest) + SKEW_MS


def believed_ms(at_ms: int, limits: Limits, now_ms: int, lease_ms: int) -> int:
    """A stored moment, or now where it is further ahead than it can be."""
    return now_ms if at_ms > now_ms + longest_ms(limits, lease_ms) else at_ms


def believed(gate: Gate, limits: Limits, now_ms: int, lease_ms: int) -> Gate:
    """A stored gate that no clock that was set back keeps shut, nor reserved; the limiters cut their own."""
    until_ms = believed_ms(gate.breaker.until_ms, limits, now_ms, lease_ms)
    latest_ms = now_ms + longest_ms(limits, lease_ms) + TURN_MS
    turns = tuple(turn for turn in gate.turns if turn[1] <= latest_ms)
    return gate._replace(breaker=gate.breaker._replace(until_ms=until_ms), turns=turns)


def allowed(gate: Gate, limits: Limits, now_ms: int, wanted: int, kind: Kind = "deliver") -> int:
    """How many of `wanted` calls may go out now."""
    waiting = [one for one, until_ms in gate.turns if until_ms > now_ms]
    ahead = waiting.index(kind) if kind in waiting else len(waiting)
    behind = len(waiting) - ahead - (kind in waiting)
    left = _let_through(gate, limits, now_ms, wanted + ahead + behind) - ahead
    return min(wanted, max(left - behind, min(left, 1), 0))


def _let_through(gate: Gate, limits: Limits, now_ms: int, wanted: int) -> int:
    most = gate.breaker.most(now_ms, wanted) if limits.breaker else wanted
    if limits.rate is not None:
        most = draw(gate.full_us, Rate.of(limits.rate, limits.burst), now_ms, most).allowed
    if limits.window_limit is not None:
        most = slide(gate.spent, Window(limits.window_limit, limits.window * 1000), now_ms, most).allowed
    return most


def take(gate: Gate, limits: Limits, now_ms: int, count: int, lease_ms: int) -> Gate:
    """Let `count` calls through, as many as were allowed. Where a probe was due, the one call is it."""
    breaker = gate.breaker
    if count and limits.breaker and breaker.wants_probe(now_ms):
        breaker = breaker.probe(now_ms, lease_ms)
    full_us, spent = gate.full_us, gate.spent
    if limits.rate is not None:
        full_us = draw(full_us, Rate.of(limits.rate, limits.burst), now_ms, count).full_us
    if limits.window_limit is not None:
        spent = slide(spent, Window(limits.window_limit, limits.window * 1000), now_ms, count).spent
    return Gate(breaker, full_us, spent, gate.turns)


def served(gate: Gate, kind: Kind) -> Gate:
    """Somebody's turn was taken."""
    return gate._replace(turns=tuple(turn for turn in gate.turns if turn[0] != kind))


def turned_away(gate: Gate, limits: Limits, now_ms: int, kind: Kind) -> Gate:
    """Somebody wanted to call and could not: where calls are counted it has a turn, and keeps the one it has."""
    if not limits.throttles:
        return gate
    live = {one: until_ms for one, until_ms in gate.turns if until_ms > now_ms}
    live[kind] = ready_ms(gate, limits, now_ms) + TURN_MS
    return gate._replace(turns=tuple(live.items()))


def ready_ms(gate: Gate, limits: Limits, now_ms: int) -> int:
    """When the gate next lets a call through, as far as is known now."""
    ready = gate.breaker.ready_ms(now_ms) if limits.breaker else now_ms
    if limits.rate is not None:
        ready = max(ready, draw(gate.full_us, Rate.of(limits.rate, limits.burst), now_ms, 0).retry_ms)
    if limits.window_limit is not None:
        ready = max(ready, slide(gate.spent, Window(limits.window_limit, limits.window * 1000), now_ms, 0).retry_ms)
    return ready
