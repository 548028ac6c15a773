"""A few seconds of trouble on each database: all of it holds, and what did not would have been seen.

`make faults` goes on for longer. What breaks here says how to run it again.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.evidence import Evidence
from tests.faults.oracle import judge
from tests.faults.outage import BURST, RATE, herd
from tests.faults.run import play
from tests.faults.stage import DatabaseKind, Plan

SECONDS = 4
SEED = 1

Doctor = Callable[[Evidence], Evidence]


def _kept(evidence: Evidence) -> list[Mapping[str, Any]]:
    return [one for one in evidence.arrivals if one["did"] == "kept"]


def _first_delivered(evidence: Evidence) -> int:
    return next(place for place, one in enumerate(evidence.attempts) if one.outcome == "delivered")


def _without_a_sale(evidence: Evidence) -> Evidence:
    lost = evidence.sold[0].sales[-1]
    return replace(evidence, records={key: one for key, one in evidence.records.items() if key[1] != lost})


def _delivered_and_tried_again(evidence: Evidence) -> Evidence:
    place = _first_delivered(evidence)
    again = evidence.attempts[place]._replace(number=99, outcome=None)
    return replace(evidence, attempts=[*evidence.attempts[: place + 1], again, *evidence.attempts[place + 1 :]])


def _one_dead(evidence: Evidence) -> Evidence:
    place = next(place for place, one in enumerate(evidence.deliveries) if one.state == "delivered")
    rows = [*evidence.deliveries]
    rows[place] = rows[place]._replace(state="dead")
    return replace(evidence, deliveries=rows)


DOCTORED: Mapping[str, tuple[str, Doctor]] = {
    "an effect is lost": (
        "a change has one effect at the provider",
        lambda one: replace(one, arrivals=[seen for seen in one.arrivals if seen is not _kept(one)[0]]),
    ),
    "an effect is there twice": (
        "a change has one effect at the provider",
        lambda one: replace(one, arrivals=[*one.arrivals, _kept(one)[0]]),
    ),
    "effects are out of order": (
        "effects of a record are in order",
        lambda one: replace(one, arrivals=[*reversed(one.arrivals)]),
    ),
    "a sale is lost": ("a till's sale is there", _without_a_sale),
    "an event is processed twice": ("a webhook is kept once", lambda one: replace(one, events=[*one.events] * 2)),
    "an event is lost": ("a webhook is in the feed once", lambda one: replace(one, events_told=one.events_told + 1)),
    "an attempt is not noted": ("an attempt that left is noted", lambda one: replace(one, attempts=one.attempts[1:])),
    "what was settled is tried again": ("what is settled is not tried again", _delivered_and_tried_again),
    "a healthy one is dead": ("delivered, or dead where it is poisoned", _one_dead),
    "the healthy waited": (
        "the healthy went while the stuck were parked",
        lambda one: replace(one, parked=one.parked._replace(open=1)),
    ),
    "one behind was tried": (
        "what is behind a stuck one waits",
        lambda one: replace(one, parked=one.parked._replace(tried=1)),
    ),
    "nobody was killed": ("provoked: killed (SIGKILL), held still", lambda one: replace(one, killed=Counter())),
    "a process crashed": ("no process ends by itself", lambda one: replace(one, crashed=["serve-1 ended with 1"])),
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def plan(request: pytest.FixtureRequest) -> Plan:
    """A short run on a fresh database."""
    kind: DatabaseKind = request.param
    return Plan(kind, request.getfixturevalue(f"{kind}_url"), SEED, SECONDS)


async def test_nothing_is_lost_doubled_or_out_of_order_and_it_would_have_been_seen(plan: Plan, tmp_path: Path) -> None:
    """Killed at random under load, at peers that fail; then what was found is spoilt, one thing at a time."""
    played = await play(plan, tmp_path)
    told = f"python -m tests.faults --seconds {SECONDS} --database {plan.kind} --seed {SEED}\nlogs: {tmp_path}"
    assert [(clause.name, clause.told) for clause in played.broken] == [], told
    for says, (name, doctor) in DOCTORED.items():
        assert name in {clause.name for clause in judge(doctor(played.evidence)) if not clause.holds}, says


def test_a_backlog_in_a_herd_is_seen() -> None:
    """At the rate it is none, however the calls are spread; one more at once is."""
    dice = random.Random(1)
    steady = [place * 1000 // RATE + dice.randrange(20) for place in range(100)]
    assert list(herd(steady)) == []
    assert list(herd([*steady, *[500] * (BURST + 2)])) != []
