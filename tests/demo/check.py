"""The checker: adds up what should be there from the clients' journals, and compares it with what is there.

It knows the code of neither server nor client, only what they wrote down. Whatever differs is told with the receipt
numbers it concerns.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.demo.evidence import Evidence, Mutation, Record
from tests.demo.figures import (
    Sale,
    all_mutations,
    creations,
    digits,
    expected_sales,
    expected_stock,
    holes,
    kept,
    money,
    out_of_order,
    provided_sales,
    quantity,
    receipt,
    receipts,
    recorded_sales,
    recorded_stock,
    vat_sums,
)
from tests.demo.rows import Row, each_once, none_of, same, some_of

SERVER, PROVIDER = "server", "provider"
UNAUTHORIZED = 401


def check(evidence: Evidence, sales_a_till: int) -> list[Row]:
    """Every row of the table."""
    return [
        *_till_rows(evidence, sales_a_till),
        *_sale_rows(evidence),
        *_stock_rows(evidence),
        *_edit_rows(evidence),
        *_outside_rows(evidence),
        *_verdict_rows(evidence),
        *_client_rows(evidence),
        *_delivery_rows(evidence),
        *_trouble_rows(evidence),
    ]


def _till_rows(evidence: Evidence, sales_a_till: int) -> Iterator[Row]:
    sold = {name: creations(one.mutations, "sales") for name, one in evidence.journals.items()}
    tills = {name: made for name, made in sold.items() if made}
    yield same("Rung up on each till", sales_a_till, {name: len(made) for name, made in tills.items()})
    numbers = {name: [one.body["fields"]["receipt_no"] for one in made] for name, made in tills.items()}
    yield none_of("Receipt numbers missing, double", {name: holes(given) for name, given in numbers.items()})


def _sale_rows(evidence: Evidence) -> Iterator[Row]:
    expected, places = expected_sales(evidence), _sales(evidence)
    yield each_once("Sales, each once", receipts(expected), {name: receipts(sales) for name, sales in places.items()})
    voids = {name: receipts(_voided(sales)) for name, sales in places.items()}
    voids[PROVIDER] = Counter(receipt(one.fields) for one in kept(evidence.arrivals) if one.event == "sales.voided")
    yield each_once("of these, voided", receipts(_voided(expected)), voids)
    wanted, found = vat_sums(expected), {name: vat_sums(sales) for name, sales in places.items()}
    for key in sorted(wanted, key=lambda key: (-digits(key[0]), key[1] == "VAT")):
        there = {name: sums.get(key, 0) for name, sums in found.items()}
        yield same(f"{key[0].removesuffix('.00')} %: {key[1]}", wanted[key], there, money)


def _stock_rows(evidence: Evidence) -> Iterator[Row]:
    expected = expected_stock(evidence)
    places = {name: recorded_stock(records) for name, records in _records(evidence).items()}
    total = {name: sum(stock.values()) for name, stock in places.items()}
    yield same("Stock of all products", sum(expected.values()), total, quantity)
    other = {
        name: [one for one in {**expected, **stock} if expected.get(one) != stock.get(one)]
        for name, stock in places.items()
    }
    yield none_of("Products with other stock", other)


def _edit_rows(evidence: Evidence) -> Iterator[Row]:
    """Each field that was edited offline is as the journal says."""
    for mutation in all_mutations(evidence):
        if mutation.collection != "sales" and mutation.body["op"] == "update":
            for name, value in mutation.body["fields"].items():
                there = {place: _value(records, mutation, name) for place, records in _records(evidence).items()}
                yield same(f"{mutation.collection.removesuffix('s').capitalize()}: {name}", value, there)


def _outside_rows(evidence: Evidence) -> Iterator[Row]:
    """What the kiosk and the intermediary told, each twice, and what somebody forged."""
    invoices = Counter(one.number for one in evidence.invoices)
    places = {name: _live(records, "invoices") for name, records in _records(evidence).items()}
    numbers = {name: Counter(one.fields["number"] for one in there) for name, there in places.items()}
    yield each_once("Invoices, each once", invoices, numbers)
    total = sum(digits(amount) for one in evidence.invoices for amount in one.amounts)
    sums = {name: sum(digits(one.fields["total"]) for one in there) for name, there in places.items()}
    yield same("Invoices, total", total, sums, money)
    forged = [one for one in evidence.kiosk if one.forged]
    yield same("Forged webhooks refused", len(forged), {SERVER: evidence.audit.refused})
    answers = [status for one in evidence.kiosk for status in one.statuses if (status == UNAUTHORIZED) != one.forged]
    yield none_of("Webhooks answered wrongly", {SERVER: map(str, answers)})
    unfinished = [f"{count} {state}" for state, count in evidence.audit.events.items() if state != "done"]
    yield none_of("Events not processed", {SERVER: unfinished})


def _verdict_rows(evidence: Evidence) -> Iterator[Row]:
    made = {one.uid: one for one in all_mutations(evidence)}
    again = Counter(uid for uid, said in evidence.audit.verdicts.items() if uid in made and _agrees(made[uid], said))
    yield each_once("Mutations, the same verdict again", Counter([*made]), {SERVER: again})
    unjudged = {
        name: [one.uid for one in journal.mutations if one.verdict is None]
        for name, journal in evidence.journals.items()
    }
    yield none_of("Mutations without a verdict", unjudged)
    numbers = {name: holes(one.mutation_id for one in journal.mutations) for name, journal in evidence.journals.items()}
    yield none_of("Mutation numbers missing, double", numbers)


def _client_rows(evidence: Evidence) -> Iterator[Row]:
    for state in ("pending", "waiting", "rejected"):
        found = {
            name: [one.uid for one in journal.mutations if one.state == state]
            for name, journal in evidence.journals.items()
        }
        yield none_of(f"Mutations {state}", found)
    truth = {(one.collection, one.record_id): one for one in evidence.audit.records}
    unlike = {name: _unlike(truth, journal.records) for name, journal in evidence.journals.items()}
    yield none_of("Records unlike the server's", unlike)


def _delivery_rows(evidence: Evidence) -> Iterator[Row]:
    arrivals, deliveries = evidence.arrivals, evidence.audit.deliveries
    open_ = [f"{count} {state}" for state, count in deliveries.items() if state != "delivered" and count]
    yield none_of("Deliveries not delivered", {SERVER: open_})
    yield none_of("Sent before Retry-After was over", {PROVIDER: [one.at for one in arrivals if one.early]})
    yield none_of("Voids sent before their sale", {PROVIDER: out_of_order(arrivals)})
    yield some_of("Answered 503", {PROVIDER: sum(one.did == "status" for one in arrivals)})
    yield some_of("Answered 429 with Retry-After", {PROVIDER: sum(one.did == "throttle" for one in arrivals)})
    for name, did in (("Same key, other content", "mismatch"), ("Bad signatures", "forged")):
        yield none_of(name, {PROVIDER: [one.key for one in arrivals if one.did == did]})


def _trouble_rows(evidence: Evidence) -> Iterator[Row]:
    """What was meant to go wrong did; a quiet run would prove nothing."""
    yield some_of("Sent again, taken once", {PROVIDER: sum(one.did == "again" for one in evidence.arrivals)})
    for name, places in evidence.told.items():
        yield some_of(name, places)


def _sales(evidence: Evidence) -> dict[str, list[Sale]]:
    places = {name: recorded_sales(records) for name, records in _records(evidence).items()}
    return {SERVER: places.pop(SERVER), PROVIDER: provided_sales(evidence.arrivals), **places}


def _records(evidence: Evidence) -> dict[str, Iterable[Record]]:
    journals = {name: journal.records for name, journal in evidence.journals.items()}
    return {SERVER: evidence.audit.records, **journals}


def _live(records: Iterable[Record], collection: str) -> list[Record]:
    return [one for one in records if one.collection == collection and not one.deleted]


def _voided(sales: Iterable[Sale]) -> Iterator[Sale]:
    return (sale for sale in sales if sale.voided)


def _value(records: Iterable[Record], mutation: Mutation, name: str) -> Any:
    wanted = (mutation.collection, mutation.record_id)
    return next((one.fields.get(name) for one in records if (one.collection, one.record_id) == wanted), None)


def _agrees(mutation: Mutation, said: Mapping[str, Any]) -> bool:
    """Whether the server, asked again, says what the journal has, and that it said so before."""
    first = mutation.verdict or {}
    told = ("mutation_id", "status", "version", "code")
    return said["duplicate"] is True and all(said[name] == first.get(name) for name in told)


def _unlike(truth: Mapping[tuple[str, str], Record], records: Iterable[Record]) -> list[str]:
    own = {(one.collection, one.record_id): one for one in records}
    return [" ".join(key) for key in {**truth, **own} if truth.get(key) != own.get(key)]
