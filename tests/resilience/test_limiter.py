"""Token bucket and sliding window: never more than the limit, whoever asks how often, and never less than promised."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.resilience.limiter import GRID, SKEW_MS, Bucket, Rate, Slid, Spent, Window, draw, slide

NOW_MS = 1_764_000_000_123
RATES = st.builds(Rate.of, st.floats(0.5, 1000), st.integers(1, 50))
WINDOWS = st.builds(Window, st.integers(1, 100), st.integers(100, 100_000))
ASKED = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 60)), min_size=1, max_size=60)
"""Pauses in milliseconds, and how many calls are wanted after each."""


class Sent(NamedTuple):
    """How many calls went out when."""

    at_ms: int
    calls: int


def by_bucket(rate: Rate, asked: Sequence[tuple[int, int]]) -> list[Sent]:
    """What a bucket lets through."""
    full_us, now_ms, sent = 0, NOW_MS, []
    for pause_ms, wanted in asked:
        now_ms += pause_ms
        full_us, allowed, _ = draw(full_us, rate, now_ms, wanted)
        sent.append(Sent(now_ms, allowed))
    return sent


def by_window(window: Window, asked: Sequence[tuple[int, int]]) -> list[Sent]:
    """What a window lets through."""
    spent: Spent = ()
    now_ms, sent = NOW_MS, list[Sent]()
    for pause_ms, wanted in asked:
        now_ms += pause_ms
        spent, allowed, _ = slide(spent, window, now_ms, wanted)
        sent.append(Sent(now_ms, allowed))
        assert len(spent) <= GRID + 2
    return sent


def most_within(length_ms: int, sent: Sequence[Sent]) -> int:
    """The most calls in any half-open interval of that length."""
    times = [one.at_ms for one in sent]
    return max(
        sum(one.calls for one in sent[place : bisect_left(times, times[place] + length_ms)])
        for place in range(len(sent))
    )


@given(RATES, ASKED, st.integers(1, 10_000))
def test_a_bucket_never_lets_more_through_than_its_rate_and_its_burst(
    rate: Rate, asked: list[tuple[int, int]], length_ms: int
) -> None:
    """In any interval of any length."""
    bound = rate.burst + length_ms * 1000 // rate.interval_us
    assert most_within(length_ms, by_bucket(rate, asked)) <= bound


@pytest.mark.parametrize("per_second", [1, 3, 7, 19, 20, 21, 39, 40, 100, 333, 1000])
def test_the_burst_that_is_given_where_none_is_asked_for_stays_within_a_tenth(per_second: int) -> None:
    """Asked every millisecond for as much as it gives, no second has a tenth more; a second's mean is the rate."""
    sent = by_bucket(Rate.of(per_second), [(1, 1000)] * 2100)
    assert most_within(1000, sent) <= max(per_second + 1, per_second * 1.1)
    if per_second >= 20:
        assert sum(one.calls for one in sent) >= 2 * per_second


@given(WINDOWS, ASKED)
def test_no_window_of_its_length_ever_holds_more_than_the_limit(window: Window, asked: list[tuple[int, int]]) -> None:
    """Wherever it begins."""
    assert most_within(window.length_ms, by_window(window, asked)) <= window.limit


@given(WINDOWS, ASKED)
def test_what_a_window_held_is_free_again_after_a_window_and_a_64th(
    window: Window, asked: list[tuple[int, int]]
) -> None:
    """Exact but for the grid."""
    pause_ms = window.length_ms + window.length_ms // GRID + 1
    sent = by_window(window, [*asked, (pause_ms, window.limit)])
    assert sent[-1].calls == window.limit


@pytest.mark.parametrize("ask", ["bucket", "window"])
@given(data=st.data(), asked=ASKED)
def test_one_more_may_go_at_the_moment_that_was_told_and_not_a_millisecond_before(
    ask: str, data: st.DataObject, asked: list[tuple[int, int]]
) -> None:
    """So that nobody comes in vain, and nobody waits longer than there is cause for."""
    answer: Callable[[int, int], Bucket | Slid]
    now_ms = NOW_MS + sum(pause_ms for pause_ms, _ in asked)
    if ask == "bucket":
        rate = data.draw(RATES)
        full_us = max(0, *[draw(0, rate, NOW_MS, wanted).full_us for _, wanted in asked])
        answer = lambda at_ms, wanted: draw(full_us, rate, at_ms, wanted)  # noqa: E731
        now_ms = NOW_MS
    else:
        window, at = data.draw(WINDOWS), NOW_MS
        spent: Spent = ()
        for pause_ms, wanted in asked:
            at += pause_ms
            spent = slide(spent, window, at, wanted).spent
        answer = lambda at_ms, wanted: slide(spent, window, at_ms, wanted)  # noqa: E731
    retry_ms = answer(now_ms, 0).retry_ms
    assert answer(retry_ms, 1).allowed == 1
    if retry_ms > now_ms:
        assert answer(retry_ms - 1, 1).allowed == 0


def test_a_state_from_another_rate_or_a_clock_set_back_is_cut() -> None:
    """Nobody waits an hour because a clock was an hour fast; a minute between two machines is believed."""
    rate, window = Rate.of(10, 2), Window(5, 10_000)
    hour_ahead = NOW_MS + 3_600_000
    assert draw(hour_ahead * 1000, rate, NOW_MS, 1).retry_ms <= NOW_MS + 1000
    assert slide(((hour_ahead, 5),), window, NOW_MS, 5).allowed == 5
    near = NOW_MS + SKEW_MS - 1000
    assert draw(near * 1000, rate, NOW_MS, 1).allowed == 0
    assert slide(((near, 5),), window, NOW_MS, 1).allowed == 0


def test_a_lowered_limit_holds_at_once() -> None:
    """What went out before counts against it."""
    spent = slide((), Window(10, 10_000), NOW_MS, 10).spent
    assert slide(spent, Window(3, 10_000), NOW_MS + 5000, 1).allowed == 0
