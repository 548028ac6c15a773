"""Classes of failure, backoff and Retry-After, as pure functions."""

from datetime import UTC, datetime
from email.utils import formatdate
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.outbound import Reason
from server.resilience.backoff import Schedule, Schedules
from server.resilience.classify import NOT_FORESEEN, classify_error, classify_reason, classify_status
from server.resilience.errors import AnsweredError, PermanentError, TransientError, UnknownError
from server.resilience.retry_after import LONGEST_MS, parse_retry_after

NOW_MS = 1_764_000_000_123
SECOND = st.integers(min_value=1, max_value=10**6)


def test_every_status_has_a_class() -> None:
    """What nobody lists goes by its family, what has none is unknown."""
    assert classify_status(299).error_class is None
    assert classify_status(599).error_class == "transient"
    assert {classify_status(status).error_class for status in range(300, 400)} == {"permanent"}
    assert {classify_status(status).error_class for status in (100, 199, 600, 0)} == {"unknown"}


def test_only_answers_given_before_acting_rule_an_effect_out() -> None:
    """A repeated operation of at most one effect depends on it."""
    assert [status for status in range(400, 600) if classify_status(status).maybe_done] == [408, 409, *range(500, 600)]


def test_every_reason_of_the_outbound_client_is_known() -> None:
    """None falls through to what nobody foresaw."""
    for reason in (*get_args(Reason), "deadline"):
        assert classify_reason(reason) is not NOT_FORESEEN, reason
    assert classify_reason("something new") is NOT_FORESEEN


@pytest.mark.parametrize("kind", [TransientError, PermanentError, UnknownError, AnsweredError])
def test_a_provider_may_say_the_class_itself(kind: type[TransientError]) -> None:
    """Class, word and doubt are taken over."""
    found = classify_error(kind("word", maybe_done=True))
    assert found == (kind.error_class, "word", True)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_between_nothing_and_its_bound(failures: int, dice: float) -> None:
    """Full jitter under an exponential bound under a cap."""
    schedule = Schedule(base_s=2, cap_s=300, lasts_s=1)
    bound = min(300, 2 * 2 ** min(failures - 1, 20)) * 1000
    assert 0 <= schedule.delay_ms(failures, lambda: dice) <= bound
    assert schedule.delay_ms(failures, lambda: 0.0) == 0


def test_schedules_last_days() -> None:
    """A provider may be away over a weekend; what nobody foresaw is tried with more care."""
    transient, unknown = Schedules().of("transient"), Schedules().of("unknown")
    assert not transient.is_over(NOW_MS, NOW_MS + 2 * 86_400_000)
    assert transient.is_over(NOW_MS, NOW_MS + 3 * 86_400_000)
    assert unknown.base_s > transient.base_s


@given(SECOND)
def test_seconds_are_never_undercut(seconds: int) -> None:
    """Counted from when the answer was read, with the millisecond the clock cut off."""
    assert parse_retry_after(str(seconds), NOW_MS) == NOW_MS + 1 + min(seconds * 1000, LONGEST_MS)


@given(SECOND, st.integers(-700, 700))
def test_a_date_is_never_undercut_by_either_clock(seconds: int, skew: int) -> None:
    """Not by ours, and not by the provider's, where its `Date` says it is believably behind."""
    theirs = NOW_MS // 1000 - skew
    until = theirs + seconds
    found = parse_retry_after(formatdate(until, usegmt=True), NOW_MS, formatdate(theirs, usegmt=True))
    if until * 1000 > NOW_MS:
        assert found is not None
        assert found > min(until * 1000, NOW_MS + LONGEST_MS)
    if 0 < skew < 600:
        assert found is not None
        assert found >= NOW_MS + min(seconds * 1000, LONGEST_MS)


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 2094 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 2094"],
)
def test_all_three_forms_of_a_date_are_read(text: str) -> None:
    """The specification's own examples, a century later where the year has four digits."""
    before = int(datetime(1994, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert parse_retry_after(text, before) == before + 1 + LONGEST_MS


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-5", "0", "1e9", "Sun, 06 Nov 1994 08:49:37 GMT", "\uff19", "\u0661"]
)
def test_what_says_nothing_usable_is_passed_over(text: str | None) -> None:
    """Also what lies in the past."""
    assert parse_retry_after(text, NOW_MS) is None


def test_a_fraction_is_rounded_up() -> None:
    """Not in the specification, but seen."""
    assert parse_retry_after("1.5", NOW_MS) == NOW_MS + 1 + 1501


def test_nobody_is_away_for_ever() -> None:
    """A wish beyond a month is cut to one."""
    assert parse_retry_after("9" * 18, NOW_MS) == NOW_MS + 1 + LONGEST_MS
