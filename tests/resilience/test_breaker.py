"""The breaker as a pure state machine: when it opens, who probes, how long it pauses, what it passes over."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.resilience.breaker import Breaker, Sign, sign_of
from server.resilience.classify import NOT_FORESEEN, Classified, classify_reason, classify_status
from server.resilience.limits import Limits, read_limits

NOW_MS = 1_764_000_000_123
LIMITS = Limits(breaker_failures=5, breaker_share=50, breaker_calls=10, breaker_pause=2, breaker_cap=60)
SIGNS = st.sampled_from(("worked", "failed", "nothing"))
DICE = st.floats(0, 1, exclude_max=True)
LEASE_MS = 30_000


FAILED: Sign = "failed"


def after(breaker: Breaker, *signs: Sign, every_ms: int = 1, dice: float = 0.5) -> Breaker:
    """What several calls make of it, one after the other."""
    for place, sign in enumerate(signs):
        breaker = breaker.report(sign, None, LIMITS, NOW_MS + place * every_ms, dice)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    """A success between begins the count anew."""
    assert after(Breaker(), *[FAILED] * 4).state == "closed"
    assert after(Breaker(), *[FAILED] * 4, "worked", *[FAILED] * 4).state == "closed"
    assert after(Breaker(), *[FAILED] * 5).state == "open"


def test_it_opens_when_too_many_of_its_calls_fail() -> None:
    """Half of ten, though never five in a row; not while there are fewer than ten to judge by."""
    mixed: list[Sign] = ["failed", "worked"] * 4
    assert after(Breaker(), *mixed).state == "closed"
    assert after(Breaker(), *mixed, "failed", "failed").state == "open"


def test_failures_of_a_window_ago_are_forgotten() -> None:
    """The same failures, but over ten minutes."""
    mixed: list[Sign] = ["failed", "worked"] * 30
    assert after(Breaker(), *mixed, every_ms=10_000).state == "closed"


@pytest.mark.parametrize("skew_ms", [0, 1_000, 20_000, 30_000, 45_000, 59_000])
def test_clocks_that_are_a_minute_apart_count_together(skew_ms: int) -> None:
    """Two processes in turns: it opens after as many failures as with one clock."""
    limits, breaker = LIMITS.model_copy(update={"breaker_failures": 100_000}), Breaker()
    for place in range(40):
        breaker = breaker.report("failed", None, limits, NOW_MS + place * 100 + place % 2 * skew_ms, 0.5)
        if breaker.state == "open":
            break
    assert place + 1 <= 2 * LIMITS.breaker_calls


def test_counts_of_a_clock_that_was_set_back_are_forgotten() -> None:
    """By more than two clocks may be apart: they are of no window that anybody knows."""
    mixed: list[Sign] = ["failed", "worked"] * 4
    far = after(Breaker(), *mixed)
    assert far.report("failed", None, LIMITS, NOW_MS - 3_600_000, 0.5).calls == 1


@given(st.lists(st.sampled_from(("worked", "nothing")), max_size=100))
def test_while_nothing_fails_nothing_is_to_be_written(signs: list[Sign]) -> None:
    """Neither a success nor a 429 changes a quiet breaker."""
    assert after(Breaker(), *signs) == Breaker()


@given(st.lists(SIGNS, max_size=60), DICE)
def test_a_late_answer_changes_nothing_once_it_is_open(signs: list[Sign], dice: float) -> None:
    """What was under way when it opened neither closes it nor makes it wait longer."""
    opened = after(Breaker(), *[FAILED] * 5)
    assert after(opened, *signs, dice=dice) == opened


def test_one_probe_passes_when_the_pause_is_over() -> None:
    """Nobody before, one then, nobody while it is under way."""
    opened = after(Breaker(), *[FAILED] * 5)
    assert (opened.most(opened.until_ms - 1, 100), opened.most(opened.until_ms, 100)) == (0, 1)
    probing = opened.probe(opened.until_ms, LEASE_MS)
    assert probing.state == "half_open"
    assert probing.most(opened.until_ms + LEASE_MS - 1, 100) == 0


def test_a_dead_prober_is_followed_by_the_next_and_its_late_answer_is_passed_over() -> None:
    """By its lease, and by its fence."""
    opened = after(Breaker(), *[FAILED] * 5)
    first = opened.probe(opened.until_ms, LEASE_MS)
    later_ms = first.until_ms
    assert first.most(later_ms, 100) == 1
    second = first.probe(later_ms, LEASE_MS)
    for sign in get_args(Sign):
        assert second.report(sign, first.fence, LIMITS, later_ms + 1, 0.5) == second
    assert second.give_up(first.fence, later_ms + 1) == second
    assert second.report("worked", second.fence, LIMITS, later_ms + 1, 0.5).most(later_ms + 1, 100) == 100


def test_a_probe_that_was_never_sent_gives_its_place_back() -> None:
    """The next call is the probe, at once."""
    probing = after(Breaker(), *[FAILED] * 5).probe(NOW_MS + 10_000, LEASE_MS)
    assert probing.give_up(probing.fence, NOW_MS + 10_001).wants_probe(NOW_MS + 10_001)


@given(st.lists(DICE, min_size=1, max_size=40))
def test_pauses_double_up_to_their_cap_with_jitter_that_leaves_half(dice: list[float]) -> None:
    """An outage of any length is asked about at least once a minute, and never in a herd."""
    breaker, now_ms, bound_ms = after(Breaker(), *[FAILED] * 4), NOW_MS + 4, 2000
    breaker = breaker.report("failed", None, LIMITS, now_ms, dice[0])
    for one in dice[1:]:
        assert bound_ms // 2 <= breaker.until_ms - now_ms <= bound_ms
        now_ms = breaker.until_ms
        breaker = breaker.probe(now_ms, LEASE_MS)
        breaker = breaker.report("failed", breaker.fence, LIMITS, now_ms, one)
        bound_ms = min(60_000, bound_ms * 2)


def test_a_probe_that_says_nothing_is_followed_by_another_after_the_shortest_pause() -> None:
    """A throttled one, for example: it is neither proof of health nor of illness."""
    opened = after(Breaker(), *[FAILED] * 5)
    for _ in range(3):
        probing = opened.probe(opened.until_ms, LEASE_MS)
        opened = probing.report("nothing", probing.fence, LIMITS, probing.until_ms, 0.999)
        assert (opened.state, opened.openings) == ("open", 1)
        assert opened.until_ms - probing.until_ms <= 2000


@given(st.lists(st.tuples(SIGNS, st.integers(0, 90_000), DICE, st.booleans()), max_size=80))
def test_never_two_probes_at_a_time(events: list[tuple[Sign, int, float, bool]]) -> None:
    """Whatever comes in whatever order: a probe begins only when no other one's lease holds."""
    breaker, now_ms, ends_ms = Breaker(), NOW_MS, 0
    fences: list[int] = []
    for sign, pause_ms, dice, is_probe in events:
        now_ms += pause_ms
        if breaker.state != "closed" and breaker.most(now_ms, 100):
            assert now_ms >= ends_ms
            breaker = breaker.probe(now_ms, LEASE_MS)
            ends_ms = now_ms + LEASE_MS
            fences.append(breaker.fence)
        was = breaker.state
        breaker = breaker.report(sign, breaker.fence if is_probe else None, LIMITS, now_ms, dice)
        if was == "half_open" and is_probe:
            ends_ms = now_ms
    assert fences == sorted(set(fences))


@pytest.mark.parametrize(
    ("sign", "statuses"),
    [("worked", (200, 402, 400, 401, 404, 422, 302)), ("nothing", (429, 425, 409, 418)), ("failed", (500, 503, 408))],
)
def test_what_an_answer_says_about_the_other_side(sign: Sign, statuses: tuple[int, ...]) -> None:
    """A refusal of one request is an answer; being throttled says nothing; a 5xx is a failure."""
    assert {sign_of(classify_status(status), status) for status in statuses} == {sign}


def test_what_no_answer_says_about_the_other_side() -> None:
    """What went wrong here is not held against it."""
    failed = ("connect", "connect_timeout", "read", "read_timeout", "write", "tls", "deadline")
    assert {sign_of(classify_reason(reason), None) for reason in failed} == {"failed"}
    ours = ("pool_timeout", "bad_url", "insecure_url", "private_address", "unsendable")
    assert {sign_of(classify_reason(reason), None) for reason in ours} == {"nothing"}
    assert sign_of(NOT_FORESEEN, None) == "nothing"
    assert sign_of(Classified("permanent", "no_such_company"), None) == "worked"


def test_limits_not_stored_are_as_the_form_declares_them() -> None:
    """An endpoint older than a limit has its provider's default, one that names it has its own."""

    class Form(Limits):
        url: str
        rate: float | None = 5
        breaker_failures: int = 3

    assert read_limits({"url": "x", "burst": 2}, Form) == Limits(rate=5, burst=2, breaker_failures=3)
    assert read_limits({"url": "x", "rate": 7.5}, Form).rate == 7.5
    assert read_limits({}) == Limits()
