"""The oracle: what must be true in the end, whatever was killed, lost, doubled, late or nonsense on the way.

It knows nothing of how the server works, only what people did, what the provider has and what the tables say.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf

from tests.faults.clause import Clause, each_once, none_of, some_of
from tests.faults.evidence import Attempt, Evidence
from tests.faults.fleet import KILLS
from tests.faults.line import FAULTS, RETRY_AFTER_S
from tests.faults.people import KIOSK, REFUSED, STUCK, UNUSABLE
from tests.faults.stage import STOCK

PROVOKED = "provoked: "
"""How clauses begin that say what was meant to go wrong did; a quiet run would prove nothing."""

_BAD = {"mismatch", "forged"}


def judge(evidence: Evidence) -> list[Clause]:
    """Every clause."""
    return [
        *_inside(evidence),
        *_outside(evidence),
        *_from_outside(evidence),
        *_attempts(evidence),
        *_poisoned(evidence),
        *_trouble(evidence),
    ]


def _inside(evidence: Evidence) -> Iterator[Clause]:
    """What the tills did is taken, and counted once."""
    open_ = [f"{count} {state}" for state, count in evidence.entries.items() if state != "settled" and count]
    yield none_of("a till's mutation has its verdict", evidence.entries.total(), open_)
    made = [record_id for sold in evidence.sold for record_id in sold.sales]
    there = [key[1] for key, one in evidence.records.items()
             if key[0] == "sales" and one["fields"]["terminal_id"] != KIOSK]  # fmt: skip
    yield each_once("a till's sale is there", made, there)
    gone = len(made) - len(evidence.voided) + evidence.events_told
    stock = evidence.records.get(("products", evidence.product), {}).get("fields", {}).get("stock", "none")
    wrong = [] if stock == f"{STOCK - gone}.000" else [f"{stock} is left, {STOCK - gone} expected"]
    yield Clause("a sale takes from stock once", f"{gone:,}", wrong)


def _outside(evidence: Evidence) -> Iterator[Clause]:
    """What the provider has, and in which order it got it."""
    refused = _noted(evidence, REFUSED)
    sales = [key[1] for key in evidence.records if key[0] == "sales" and key[1] not in refused]
    expected = [*(f"{sale} created" for sale in sales), *(f"{sale} voided" for sale in evidence.voided - refused)]
    kept = [one for one in evidence.arrivals if one["did"] == "kept"]
    found = [f"{one['sent']['data']['record_id']} {one['sent']['type'].removeprefix('sales.')}" for one in kept]
    yield each_once("a change has one effect at the provider", expected, found)
    yield none_of("effects of a record are in order", len(kept), _going_back(evidence))
    bad = [f"{one['key']} {one['did']}" for one in evidence.arrivals if one["did"] in _BAD]
    yield none_of("same key, same content, good signature", len(evidence.arrivals), bad)


def _going_back(evidence: Evidence) -> Iterator[str]:
    newest: dict[str, int] = defaultdict(int)
    for one in evidence.arrivals:
        if one["did"] == "kept":
            data = one["sent"]["data"]
            if data["version"] <= newest[data["record_id"]]:
                yield f"{data['record_id']} went back to {data['version']}"
            newest[data["record_id"]] = max(newest[data["record_id"]], data["version"])


def _from_outside(evidence: Evidence) -> Iterator[Clause]:
    """What the kiosk told is here, once."""
    told = [f"msg_{number}" for number in range(1, evidence.events_told + 1)]
    yield each_once("a webhook is acknowledged", [*told, UNUSABLE], evidence.acknowledged)
    yield each_once("a webhook is kept once", [*told, UNUSABLE], [event.event_id for event in evidence.events])
    receipts = [f"msg_{one['fields']['receipt_no']}" for one in evidence.kiosk_sales]
    yield each_once("a webhook is in the feed once", told, receipts)
    ended = [f"{one.event_id} {one.state}" for one in evidence.events]
    yield each_once("an event comes to its end", [*(f"{one} done" for one in told), f"{UNUSABLE} quarantined"], ended)


def _attempts(evidence: Evidence) -> Iterator[Clause]:
    """What the server says of its deliveries fits what came by."""
    refused = _noted(evidence, REFUSED)
    wrong = [f"{one.record_id} is {one.state} ({one.error})" for one in evidence.deliveries
             if one.state != ("dead" if one.record_id in refused else "delivered")]  # fmt: skip
    yield none_of("delivered, or dead where it is poisoned", len(evidence.deliveries), wrong)
    yield none_of("the record knows its delivery's end", len(evidence.deliveries), _untold(evidence))
    seen = Counter(passage.name for passage in evidence.outgoing)
    more = [f"{one.record_id}: {seen[one.key]} came by, {one.attempts} noted" for one in evidence.deliveries
            if seen[one.key] > one.attempts]  # fmt: skip
    yield none_of("an attempt that left is noted", len(evidence.outgoing), [*more, *_miscounted(evidence)])
    yield none_of("what is settled is not tried again", len(evidence.attempts), _after_the_end(evidence))
    yield _patience(evidence)


def _untold(evidence: Evidence) -> Iterator[str]:
    last = {one.record_id: one.state for one in evidence.deliveries}
    for record_id, state in last.items():
        told = evidence.records.get(("sales", record_id), {}).get("fields", {}).get("forward_status")
        if told != state:
            yield f"{record_id} is told {told}, it is {state}"


def _miscounted(evidence: Evidence) -> Iterator[str]:
    noted = Counter(one.delivery_id for one in evidence.attempts)
    for one in evidence.deliveries:
        if noted[one.delivery_id] != one.attempts:
            yield f"{one.record_id}: {noted[one.delivery_id]} attempts listed, {one.attempts} counted"


def _after_the_end(evidence: Evidence) -> Iterator[str]:
    for delivery_id, tried in _by_delivery(evidence).items():
        ended = [one.number for one in tried if one.outcome == "delivered"]
        if ended and ended != [tried[-1].number]:
            yield f"{delivery_id}: delivered by {ended}, of {len(tried)} attempts"


def _patience(evidence: Evidence) -> Clause:
    """After a 429 that was heard, a delivery is left alone for as long as was asked."""
    keys = {one.delivery_id: one.key for one in evidence.deliveries}
    asked: dict[str, list[float]] = defaultdict(list)
    for passage in evidence.outgoing:
        if passage.fate == "throttle":
            asked[passage.name].append(passage.at * 1000)
    heard, early = 0, []
    for delivery_id, tried in _by_delivery(evidence).items():
        for one, following in pairwise(tried):
            if one.status == 429 and one.ended_ms is not None:
                heard += 1
                told_ms = max((at for at in asked[keys[delivery_id]] if at <= one.ended_ms + 1), default=inf)
                if following.started_ms < told_ms + RETRY_AFTER_S * 1000 - 1:
                    early.append(f"{delivery_id}: told at {told_ms:.0f}, tried at {following.started_ms}")
    return none_of("no one comes before Retry-After", heard, early)


def _poisoned(evidence: Evidence) -> Iterator[Clause]:
    """The others went on while some failed, and what was behind those waited without being tried."""
    parked = evidence.parked
    wrong = [f"{parked.open} of the healthy waited with the stuck"] if parked.open else []
    yield Clause("the healthy went while the stuck were parked", f"{parked.healthy:,}", wrong)
    stuck = [] if parked.stuck == len(_noted(evidence, STUCK)) else [f"only {parked.stuck} were stuck"]
    tried = [f"{parked.tried} of them were tried"] if parked.tried else []
    yield Clause("what is behind a stuck one waits", f"{parked.behind:,}", [*stuck, *tried])


def _trouble(evidence: Evidence) -> Iterator[Clause]:
    """What was meant to go wrong did, and nothing else."""
    yield none_of("no process ends by itself", sum(evidence.killed.values()), evidence.crashed)
    yield some_of(f"{PROVOKED}killed (SIGKILL), held still", evidence.killed, KILLS)
    for name, line in (("towards the provider", evidence.outgoing), ("on the way in", evidence.incoming)):
        yield some_of(
            f"{PROVOKED}{name}", Counter(str(passage.fate) for passage in line if passage.fate in FAULTS), FAULTS
        )
    again = Counter(one["did"] for one in evidence.arrivals if one["did"] == "again")
    yield some_of(f"{PROVOKED}taken once though it came again", again, ["again"])


def _noted(evidence: Evidence, note: str) -> set[str]:
    return {record_id for sold in evidence.sold for record_id, said in sold.notes.items() if said == note}


def _by_delivery(evidence: Evidence) -> Mapping[str, Sequence[Attempt]]:
    found: dict[str, list[Attempt]] = defaultdict(list)
    for one in evidence.attempts:
        found[one.delivery_id].append(one)
    return found
