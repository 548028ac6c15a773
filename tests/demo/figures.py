"""Figures off the evidence: sales, sums by VAT rate and stock, as the journals want them and as each place has them.

Money is integer cents and stock integer thousandths, read off decimal text; nothing here rounds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from tests.demo.evidence import Arrival, Evidence, Mutation, Record


class Sale(NamedTuple):
    """A sale as some place has it; `receipt` is its number in its till's series."""

    receipt: str
    voided: bool
    fields: Mapping[str, Any]


def receipt(fields: Mapping[str, Any]) -> str:
    """What a sale is called in front of people."""
    return f"{fields['terminal_id']} {fields['receipt_no']}"


def receipts(sales: Iterable[Sale]) -> Counter[str]:
    """How often each receipt is there."""
    return Counter(sale.receipt for sale in sales)


def all_mutations(evidence: Evidence) -> Iterator[Mutation]:
    """Every client's."""
    return chain.from_iterable(journal.mutations for journal in evidence.journals.values())


def creations(mutations: Iterable[Mutation], collection: str) -> list[Mutation]:
    """Those that make a record."""
    return [one for one in mutations if one.collection == collection and one.body["op"] == "create"]


def expected_sales(evidence: Evidence) -> list[Sale]:
    """Every sale that was rung up on a till, voided if anybody voided it, and the kiosk's own."""
    mutations = list(all_mutations(evidence))
    voided = {one.record_id for one in mutations if one.body.get("fields", {}).get("status") == "voided"}
    made = [(one.body["fields"], one.record_id in voided) for one in creations(mutations, "sales")]
    told = [one.sale for one in evidence.kiosk if not one.forged]
    kiosk = [({**sale, "terminal_id": sale["terminal"], "receipt_no": sale["receipt"]}, False) for sale in told]
    return [Sale(receipt(fields), void, fields) for fields, void in [*made, *kiosk]]


def recorded_sales(records: Iterable[Record]) -> list[Sale]:
    """Those a client or the server has."""
    live = [one.fields for one in records if one.collection == "sales" and not one.deleted]
    return [Sale(receipt(fields), fields["status"] == "voided", fields) for fields in live]


def provided_sales(arrivals: Iterable[Arrival]) -> list[Sale]:
    """Those the provider took in; voided once it was told so."""
    taken = kept(arrivals)
    voided = {one.record_id for one in taken if one.event == "sales.voided"}
    made = [one for one in taken if one.event == "sales.created"]
    return [Sale(receipt(one.fields), one.record_id in voided, one.fields) for one in made]


def kept(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """What had an effect at the provider."""
    return [one for one in arrivals if one.did == "kept"]


def vat_sums(sales: Iterable[Sale]) -> Mapping[tuple[str, str], int]:
    """Cents by rate and kind (net, VAT) of what still counts."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for line in chain.from_iterable(sale.fields["vat"] for sale in sales if not sale.voided):
        sums[line["rate"], "net"] += digits(line["net"])
        sums[line["rate"], "VAT"] += digits(line["vat"])
    return sums


def expected_stock(evidence: Evidence) -> Mapping[str, int]:
    """Thousandths by product: what was counted in, less what was sold and not voided."""
    stock = Counter[str]()
    for mutation in all_mutations(evidence):
        if mutation.collection == "products":
            stock[mutation.record_id] += digits(mutation.body.get("increments", {}).get("stock", "0.000"))
    for line in chain.from_iterable(sale.fields["lines"] for sale in expected_sales(evidence) if not sale.voided):
        stock[line["product_id"]] -= digits(line["quantity"])
    return stock


def recorded_stock(records: Iterable[Record]) -> Mapping[str, int]:
    """The same, as a client or the server has it."""
    return {one.record_id: digits(one.fields["stock"]) for one in records if one.collection == "products"}


def holes(numbers: Iterable[int]) -> list[str]:
    """What is missing or double, counting from 1."""
    there = Counter(numbers)
    expected = Counter(range(1, there.total() + 1))
    return [str(number) for number in sorted((expected - there) + (there - expected))]


def out_of_order(arrivals: Iterable[Arrival]) -> Iterator[str]:
    """Receipts of which the provider was sent a void before it had the sale."""
    known: set[str] = set()
    for one in arrivals:
        if one.event == "sales.created" and one.did in {"kept", "again"}:
            known.add(one.record_id)
        elif one.event == "sales.voided" and one.record_id not in known:
            yield receipt(one.fields)


def digits(text: str) -> int:
    """A decimal text in its smallest unit; the places are the sender's."""
    return int(text.replace(".", ""))


def money(amount: int) -> str:
    """Cents for people."""
    return f"{amount // 100:,}.{amount % 100:02}"


def quantity(amount: int) -> str:
    """Thousandths for people."""
    return f"{amount // 1000:,}.{amount % 1000:03}"
