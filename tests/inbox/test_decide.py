"""What a result means for its event: pure, by tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.inbox.accounts import Endpoint, parse_address
from server.inbox.claim import Claimed
from server.inbox.decide import LONGEST_WAIT_MS, MAX_REASON, PATIENCE_MS, Chance, Wait, decide, wait
from server.inbox.handle import Result
from server.inbox.receive import fit_event_id, redacted
from server.ports import Reading, UnusableEventError
from server.resilience.classify import SUCCESS, Classified
from server.resilience.errors import ErrorClass
from sync.clock import encode_instant
from tests.inbox.mailroom import SCHEDULES
from tests.support.shop import START_MS


def claimed(failures: int = 0, since_ms: int | None = None) -> Claimed:
    """An event in hand."""
    return Claimed(
        tenant_id="t",
        endpoint_id="e",
        receipt_id="r",
        event_id="id",
        event_type="type",
        body=b"",
        received_at=encode_instant(START_MS),
        correlation_id="corr",
        attempt=1,
        failures=failures,
        failing_since=None if since_ms is None else encode_instant(since_ms),
        fence=1,
        contradicts=False,
        leased_until_ms=0,
        endpoint=Endpoint("p", "{}", ""),
    )


CHANCE = Chance(SCHEDULES, lambda: 0.5)


@given(
    error_class=st.sampled_from(["transient", "unknown"]),
    failures=st.integers(0, 10_000),
    failing_ms=st.integers(0, 10**9),
    not_before_ms=st.none() | st.integers(0, START_MS * 2),
)
def test_a_failure_is_tried_again_later_until_its_schedule_is_over(
    error_class: ErrorClass, failures: int, failing_ms: int, not_before_ms: int | None
) -> None:
    """Never in the past, never before it is allowed, and dead exactly when it went on too long."""
    result = Result(Classified(error_class, "odd"), not_before_ms=not_before_ms)
    ending = decide(claimed(failures, START_MS - failing_ms), result, START_MS, CHANCE)
    over = failing_ms >= SCHEDULES.of(error_class).lasts_s * 1000
    assert ending.state == ("dead" if over else "pending")
    assert ending.failures == failures + 1
    assert ending.next_attempt_ms >= START_MS
    if not over:
        assert ending.next_attempt_ms >= (not_before_ms or 0)


@pytest.mark.parametrize(
    ("result", "state", "error"),
    [
        (Result(SUCCESS), "done", None),
        (Result(SUCCESS, Reading(ignored="another's")), "ignored", None),
        (Result(SUCCESS, unusable=UnusableEventError("malformed", "no")), "quarantined", "malformed"),
        (Result(SUCCESS, Reading(unusable=[UnusableEventError("a", "x")])), "quarantined", "a"),
        (Result(Classified("permanent", "gone")), "dead", "gone"),
        (Result(Classified("answered", "refused")), "dead", "refused"),
    ],
)
def test_every_other_result_ends_it(result: Result, state: str, error: str | None) -> None:
    """One way each, and what is stuck says why."""
    ending = decide(claimed(), result, START_MS, CHANCE)
    assert (ending.state, ending.error) == (state, error)


def test_reasons_are_told_once_each_and_within_bounds() -> None:
    """A lot of two hundred bodies without a total says so once."""
    unusable = [UnusableEventError("no_total", "No total.")] * 200 + [UnusableEventError("b", "y" * 1000)]
    ending = decide(claimed(), Result(SUCCESS, Reading(unusable=unusable)), START_MS, CHANCE)
    assert ending.reason is not None
    assert ending.reason.startswith("No total.; yyy")
    assert len(ending.reason) == MAX_REASON


@given(st.text(max_size=300))
def test_any_event_id_fits(text: str) -> None:
    """As it is, or by its hash; two different ids stay different."""
    fitted = fit_event_id(text)
    assert 0 < len(fitted) <= 200
    assert fitted.isascii()
    assert fitted.isprintable()
    assert fit_event_id(fitted) == fitted


@given(st.dictionaries(st.text(max_size=80), st.text(max_size=300), max_size=100))
def test_of_any_headers_only_harmless_values_are_kept(headers: dict[str, str]) -> None:
    """Whatever comes, what is stored is bounded and printable."""
    shown = redacted(headers | {"authorization": "canary", "x-signature": "canary", "user-agent": "till"}, frozenset())
    assert len(shown) <= 64
    assert "canary" not in str(shown)
    for value in shown.values():
        assert value.isprintable()


@given(st.integers(-60_000, PATIENCE_MS), st.sampled_from(sorted(LONGEST_WAIT_MS)))
def test_what_waits_is_looked_at_again_within_its_bound(age_ms: int, why: Wait) -> None:
    """Soon at first, and never later than a quarter of an hour: not a day after what it waits for is here."""
    ending = wait(claimed(), why, START_MS + age_ms)
    again_ms = ending.next_attempt_ms - START_MS - age_ms
    assert (ending.state, ending.error, ending.failures) == ("pending", why, 0)
    assert 1000 <= again_ms <= max(1000, min(age_ms // 4, 15 * 60_000))


def test_what_waits_for_its_record_costs_few_looks() -> None:
    """A day of it is a hundred fetches, not one a minute: hundreds may wait on a server that was restored."""
    looks, age_ms = 0, 0
    while wait(claimed(), "not_here_yet", START_MS + age_ms).state == "pending":
        age_ms = wait(claimed(), "not_here_yet", START_MS + age_ms).next_attempt_ms - START_MS
        looks += 1
    assert looks < 140
    assert PATIENCE_MS < age_ms <= PATIENCE_MS + 15 * 60_000


HEX = st.text(alphabet="0123456789abcdef", min_size=32, max_size=32)


@given(st.text(alphabet="0123456789abcdefABCDEF.-", max_size=100) | st.lists(HEX, max_size=4).map(".".join))
def test_an_address_is_two_ids_and_perhaps_a_secret_or_nothing(text: str) -> None:
    """It names its tenant, or nobody listens."""
    parsed = parse_address(text)
    is_one = [len(part) for part in text.split(".")] in ([32] * 2, [32] * 3) and set(text) <= {*"0123456789abcdef."}
    assert (parsed is not None) == is_one
    if parsed is not None:
        (tenant_id, endpoint_id), hook = parsed
        ids = f"{tenant_id.replace('-', '')}.{endpoint_id.replace('-', '')}"
        assert (f"{ids}.{hook}" if hook else ids) == text
