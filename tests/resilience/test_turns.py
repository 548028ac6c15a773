"""Deliveries, fetches and polls at one gate: the limits hold for all together, and each gets its turn."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.resilience.gate import TURN_MS, Gate, Kind, allowed, believed, ready_ms, served, take, turned_away
from server.resilience.limits import Limits

NOW_MS = 1_764_000_000_123
LEASE_MS = 30_000
KINDS: Sequence[Kind] = ("deliver", "fetch", "poll")
LIMITS = st.builds(
    Limits, rate=st.floats(0.5, 200), burst=st.none() | st.integers(1, 10), window_limit=st.none() | st.integers(1, 50)
)


class Sent(NamedTuple):
    """How many calls of a kind went out when."""

    at_ms: int
    kind: Kind
    calls: int


def pass_one(gate: Gate, limits: Limits, now_ms: int, kind: Kind, wanted: int) -> tuple[Gate, int]:
    """What a claim does."""
    count = allowed(gate, limits, now_ms, wanted, kind)
    if not count:
        return turned_away(gate, limits, now_ms, kind), 0
    return served(take(gate, limits, now_ms, count, LEASE_MS), kind), count


def crowd(limits: Limits, wanted: Mapping[Kind, int], rounds: int, order: Sequence[Kind] = KINDS) -> list[Sent]:
    """All come at every moment at which something may go out, always in one order, for more than they can get."""
    gate, now_ms, sent = Gate(), NOW_MS, list[Sent]()
    for _ in range(rounds):
        for kind in order:
            gate, count = pass_one(gate, limits, now_ms, kind, wanted[kind])
            sent += [Sent(now_ms, kind, count)] if count else []
        now_ms = max(now_ms + 1, ready_ms(gate, limits, now_ms))
    return sent


@given(limits=LIMITS, order=st.permutations(KINDS), wanted=st.tuples(*[st.integers(1, 20)] * 3))
def test_nobody_waits_for_more_than_a_turn_of_each_other(
    limits: Limits, order: Sequence[Kind], wanted: tuple[int, int, int]
) -> None:
    """However many calls the others want, and whoever comes first each time."""
    sent = crowd(limits, dict(zip(KINDS, wanted, strict=True)), 60, order)
    for kind in KINDS:
        places = [place for place, one in enumerate(sent) if one.kind == kind]
        assert places
        assert max((after - before for before, after in pairwise([-1, *places])), default=0) <= 5


@given(limits=LIMITS, order=st.permutations(KINDS))
def test_all_together_have_no_more_calls_than_one_would(limits: Limits, order: Sequence[Kind]) -> None:
    """The rate is the account's, whoever calls, and none of it is lost by turns."""
    together = crowd(limits, dict.fromkeys(KINDS, 5), 60, order)
    until_ms = together[-1].at_ms
    gate, now_ms, alone = Gate(), NOW_MS, 0
    while now_ms <= until_ms:
        gate, count = pass_one(gate, limits, now_ms, "deliver", 15)
        alone += count
        now_ms = max(now_ms + 1, ready_ms(gate, limits, now_ms))
    assert sum(one.calls for one in together) == pytest.approx(alone, abs=1)


def test_a_turn_nobody_takes_holds_others_up_for_a_moment_only() -> None:
    """Whoever waited may have died, or found its work done by another."""
    limits = Limits(rate=1, burst=1)
    gate, count = pass_one(Gate(), limits, NOW_MS, "deliver", 1)
    gate, _ = pass_one(gate, limits, NOW_MS, "poll", 1)
    assert count == 1
    ready = ready_ms(gate, limits, NOW_MS)
    gate, count = pass_one(gate, limits, ready, "deliver", 1)
    assert count == 0
    gate, count = pass_one(gate, limits, ready + TURN_MS, "deliver", 1)
    assert count == 1


def test_a_turn_is_kept_by_asking_again() -> None:
    """Where it takes long until anything goes out, and another one goes first."""
    limits = Limits(rate=0.1, burst=1)
    gate, _ = pass_one(Gate(), limits, NOW_MS, "deliver", 1)
    for kind in ("fetch", "poll"):
        gate, _ = pass_one(gate, limits, NOW_MS, kind, 1)
    sent: list[Kind] = []
    for at_ms in (NOW_MS + 10_000, NOW_MS + 20_000, NOW_MS + 30_000):
        for kind in KINDS:
            gate, count = pass_one(gate, limits, at_ms, kind, 1)
            sent += [kind] * count
    assert sent == ["fetch", "poll", "deliver"]


def test_without_limits_nobody_has_a_turn() -> None:
    """An open breaker keeps all out alike; what shows that it works is anybody's."""
    assert turned_away(Gate(), Limits(), NOW_MS, "poll") == Gate()


def test_a_turn_of_a_clock_that_was_set_back_is_nobodys() -> None:
    """It would be kept until that clock came again."""
    limits = Limits(rate=1, burst=1)
    gate = turned_away(Gate(), limits, NOW_MS + 86_400_000, "poll")
    assert believed(gate, limits, NOW_MS, LEASE_MS).turns == ()
    assert believed(gate, limits, NOW_MS + 86_400_000, LEASE_MS).turns == gate.turns
