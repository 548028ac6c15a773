"""The window a poller reads: an overlap each time, days back once a day, and never past what it has met."""

from datetime import UTC, datetime, timedelta

from server.providers.pos.window import LATE, Cursor, moment, rewound, window

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
MINUTE = timedelta(minutes=1)


def test_the_first_round_looks_back_and_the_next_overlaps() -> None:
    """By the settings."""
    first = window(None, {"backfill_days": 2}, NOW_MS)
    assert (first.begin, first.page) == (NOW - timedelta(days=2), None)
    after = first.after([NOW - 5 * MINUTE], None, NOW)
    second = window(after.model_dump_json(), {"poll_overlap_minutes": 30}, NOW_MS)
    assert second.begin == NOW - 35 * MINUTE


def test_a_round_goes_on_where_it_was_cut_off() -> None:
    """From its own beginning, by the vendor's name for the page."""
    cut = window(None, {}, NOW_MS).after([NOW - 5 * MINUTE], "page-2", NOW)
    again = window(cut.model_dump_json(), {}, NOW_MS + 3_600_000)
    assert (again.begin, again.page) == (NOW - timedelta(days=30), "page-2")


def test_once_a_day_it_goes_back_for_what_came_late() -> None:
    """Tills that were offline hand over after days; a day later once more, and not in between."""
    seen = NOW - MINUTE
    day_old = Cursor(seen=seen, deep=NOW - timedelta(hours=24))
    deep = window(day_old.model_dump_json(), {}, NOW_MS)
    assert deep.begin == seen - LATE
    after = deep.after([], None, NOW)
    assert window(after.model_dump_json(), {}, NOW_MS + 60_000).begin == seen - 60 * MINUTE
    assert window(after.model_dump_json(), {}, NOW_MS + 86_400_000).begin == seen - LATE


def test_a_time_to_come_hides_nothing() -> None:
    """A vendor whose clock is ahead."""
    after = window(None, {}, NOW_MS).after([NOW - MINUTE, NOW + 60 * MINUTE], None, NOW)
    assert after.seen == NOW - MINUTE


def test_a_rewind_begins_before_the_moment_and_never_later() -> None:
    """After a restore; it looks back days at once."""
    cursor = Cursor(seen=NOW, deep=NOW).model_dump_json()
    since_ms = NOW_MS - 3_600_000
    assert window(rewound(cursor, since_ms), {}, NOW_MS).begin == moment(since_ms) - LATE
    assert window(rewound(cursor, NOW_MS + 1), {}, NOW_MS).begin == NOW - LATE
