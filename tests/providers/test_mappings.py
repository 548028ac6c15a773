"""The mapping layer: every mapping that a provider declares goes there and back, and makes what its collection takes.

Where a mapping has no way back, `written` is a writer of the vendor's form: what it writes is read, and compared with
what it was told to write.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from server.app.providers import OWN
from server.collections import registry
from server.mapping import PayloadMapping
from server.ports import Account, UnusableEventError
from server.providers.http.told import Object
from server.providers.pos.payload import ClosureV1, LineV1, PaymentV1, SaleV1, VatV1
from server.providers.sdi.fatturapa import parse_file
from server.providers.sdi.mapping import ReceivedBody
from server.providers.stripe.payments import Charge, Intent, Named, Refusal
from server.providers.stripe.subscriptions import Invoice, Item, Items, Price, Told
from sync.protocol import Unusable
from sync.wire import decimal_text, units_of
from tests.support import fatture
from tests.support.fatture import Fattura, Riepilogo, Riga
from tests.support.shop import TIMESTAMP

ACCOUNT = Account("t", "e", {"shop": "centro"}, {})
MAPPINGS = {one.name: one for kind in OWN for one in kind.make(None, lambda: 0).mappings()}  # type: ignore[arg-type]  # they send nothing
BELONG_TO_OTHERS = {"received_at"}
"""Said at creation only, by the scheme and not by the mapping."""

CENTS = st.integers(-(10**7), 10**7)
RATES = st.sampled_from(["22.00", "10.00", "4.00"])
TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=30)
IDS = st.from_regex(r"[!-~]{1,20}", fullmatch=True)
UUIDS = st.uuids(version=4).map(str)


@st.composite
def sales(draw: st.DrawFn) -> SaleV1:
    """Any sale a point of sale may tell, with sums by rate or without."""
    lines = [
        LineV1(
            description=draw(TEXTS),
            quantity=decimal_text(draw(st.integers(-9_000, 9_000)), 3),
            unit_price=decimal_text(draw(CENTS), 2),
            total=decimal_text(draw(CENTS), 2),
            vat_rate=draw(RATES),
            nature=draw(st.sampled_from([None, "N1", "N2.2"])),
            product_id=draw(st.none() | UUIDS),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    total = decimal_text(sum(units_of(line.total, 2) for line in lines), 2)
    vat = [VatV1(rate="0.00", gross=total, net=total, vat="0.00", nature=draw(st.sampled_from([None, "N4"])))]
    return SaleV1(
        version=1,
        id=draw(IDS),
        terminal="P1",
        receipt=draw(st.integers(0, 2**53 - 1)),
        business_day="2026-11-24",
        sold_at=draw(st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001  # the strategy's
        lines=lines,
        total=total,
        payment_method=draw(st.sampled_from(["card", "cash"])),
        vat=draw(st.sampled_from([None, vat])),
        note=draw(st.none() | TEXTS),
    )


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """Any object that an endpoint of `http` may tell of."""
    return Object(id=draw(IDS), sequence=draw(st.integers(0, 2**53 - 1)), final=draw(st.booleans()))


@st.composite
def invoices(draw: st.DrawFn) -> tuple[ReceivedBody, dict[str, Any]]:
    """An invoice as a file that was written and read, and what was to be written."""
    sign, kind = draw(st.sampled_from([(1, "TD01"), (-1, "TD04")]))
    amounts = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
    written = Fattura(
        number=f"A/{draw(st.integers(1, 10**6))}",
        document_type=kind,
        lines=[
            Riga(description=f"riga {n}", unit_price=decimal_text(c, 8), total=f"{c}.00") for n, c in enumerate(amounts)
        ],
        summaries=[Riepilogo(taxable=decimal_text(c, 2), tax="0.00", rate="0.00", natura="N2.2") for c in amounts],
    )
    file = parse_file(fatture.invoice(written))
    (body,) = file.bodies
    assert body.total is not None
    assert body.payable is not None
    told = ReceivedBody(file=file, body=body, total=body.total, payable=body.payable, sdi_id="77")
    return told, {
        "number": written.number,
        "document_type": kind,
        "total": decimal_text(sign * sum(amounts), 2),
        "lines": [(line.description, line.unit_price, line.total) for line in written.lines],
        "summaries": [decimal_text(sign * c, 2) for c in amounts],
    }


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """Any payment intent in euros."""
    amount = draw(st.integers(0, 10**9))
    return Intent(
        id=f"pi_{draw(st.integers(0, 10**6))}",
        amount=amount,
        amount_received=draw(st.sampled_from([None, 0, amount])),
        currency="eur",
        status=draw(st.sampled_from(["succeeded", "canceled", "processing", "requires_payment_method"])),
        created=draw(st.integers(1_600_000_000, 2_000_000_000)),
        metadata=draw(st.sampled_from([{}, {"rientro_shop": "porto"}, {"rientro_shop": "no such code!"}])),
        customer=draw(st.sampled_from([None, Named(metadata={})])),
        latest_charge=draw(st.sampled_from([None, Charge(amount_refunded=amount, disputed=True)])),
        last_payment_error=draw(st.sampled_from([None, Refusal(code="card_declined")])),
        dispute=draw(st.sampled_from([None, "needs_response", "lost"])),
    )


@st.composite
def subscriptions(draw: st.DrawFn) -> Told:
    """Any subscription, by either form of its line."""
    price = Price(id=f"p_{draw(st.integers(0, 99))}")
    line = draw(st.sampled_from([Item(price=price), Item(plan=price)]))
    return Told(
        id=f"sub_{draw(st.integers(0, 10**6))}",
        status=draw(st.sampled_from(["trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete"])),
        items=Items(data=draw(st.sampled_from([[], [line]]))),
        current_period_end=draw(st.none() | st.integers(1_600_000_000, 2_000_000_000)),
        cancel_at_period_end=draw(st.booleans()),
        latest_invoice=draw(st.sampled_from([None, Invoice(status="paid"), Invoice(status="open")])),
    )


@st.composite
def closures(draw: st.DrawFn) -> ClosureV1:
    """Any closing a point of sale may tell."""
    total = decimal_text(draw(CENTS), 2)
    first = draw(st.none() | st.integers(1, 10**9))
    return ClosureV1(
        version=1,
        id=draw(IDS),
        terminal="P1",
        business_day="2026-11-24",
        closed_at=draw(st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))).replace(  # noqa: DTZ001  # the strategy's
            microsecond=0
        ),
        number=draw(st.none() | st.integers(0, 10**6)),
        count=draw(st.integers(0, 1000)),
        first_receipt=first,
        last_receipt=first,
        voided=draw(st.lists(st.integers(1, 10**6), max_size=3)),
        total=total,
        vat=[VatV1(rate=draw(RATES), gross=total, net=total, vat="0.00", nature=draw(st.sampled_from([None, "N4"])))],
        payments=[PaymentV1(method=draw(st.sampled_from(["card", "cash"])), total=total)],
    )


TOLD: dict[str, st.SearchStrategy[Any]] = {
    "pos.sale": sales(),
    "http.object": objects(),
    "pos.closure": closures(),
    "stripe.payment_intent": intents(),
    "stripe.subscription": subscriptions(),
}
"""What a vendor may tell, by mapping."""

WRITTEN = {"sdi.invoice", "square.order", "shopify.order", "shopify.refund", "sumup.transaction", "sumup.refund"}
"""Mappings without a way back: each has a test of its own against a writer."""


def test_every_mapping_is_tested_by_a_round_trip() -> None:
    """One that is declared and not listed here fails."""
    assert {*TOLD, *WRITTEN} == {*MAPPINGS}
    assert {name for name, one in MAPPINGS.items() if one.to_theirs is None} == WRITTEN


@pytest.mark.parametrize("name", sorted(MAPPINGS))
def test_a_mapping_names_fields_its_collection_has(name: str) -> None:
    """And is named after its provider."""
    mapping = MAPPINGS[name]
    known = set(registry().collections[mapping.collection].fields)
    assert set(mapping.ours.model_fields) <= known - BELONG_TO_OTHERS
    assert name.partition(".")[0] in {kind.name for kind in OWN}
    assert mapping.version >= 1


@pytest.mark.parametrize("name", sorted(TOLD))
@given(data=st.data())
def test_what_was_told_goes_there_and_back(name: str, data: st.DataObject) -> None:
    """Through the very text that a vendor sends."""
    mapping: PayloadMapping[Any, Any] = MAPPINGS[name]
    told = data.draw(TOLD[name])
    assert mapping.to_theirs is not None
    ours = mapping.to_ours(mapping.parse(told.model_dump_json()), ACCOUNT.settings)
    back: BaseModel = mapping.to_theirs(ours, "S-1")
    assert mapping.to_ours(mapping.parse(back.model_dump_json()), ACCOUNT.settings) == ours


@given(invoices())
def test_an_invoice_says_what_was_written_into_its_file(case: tuple[ReceivedBody, dict[str, Any]]) -> None:
    """There is no way back into XML here: the writer is the tests' own."""
    told, written = case
    fields = MAPPINGS["sdi.invoice"].draft(told, ACCOUNT, "sdi:77:1").fields
    read = {
        "number": fields["number"],
        "document_type": fields["document_type"],
        "total": fields["total"],
        "lines": [(line["description"], line["unit_price"], line["total"]) for line in fields["lines"]],
        "summaries": [one["taxable"] for one in fields["summaries"]],
    }
    assert read == written
    assert taken("invoices", {**fields, "received_at": TIMESTAMP})


@given(sales())
def test_a_sale_is_of_the_wires_own_form(told: SaleV1) -> None:
    """The strictest reader we have takes it as it is."""
    assert taken("sales", dict(MAPPINGS["pos.sale"].draft(told, ACCOUNT, "e:S-1").fields))


def taken(collection: str, fields: dict[str, Any]) -> bool:
    """Whether a mutation with these fields is one."""
    record_id = "0192f0c1-0000-7000-8000-000000000001"
    mutation = {"mutation_id": 1, "uid": record_id, "op": "create", "record_id": record_id, "timestamp": TIMESTAMP}
    return not isinstance(registry().parse_mutation(mutation | {"collection": collection, "fields": fields}), Unusable)


def test_reasons_name_places_and_no_values() -> None:
    """At most five of them."""
    told = {"version": 1, "id": "S-1", "terminal": "P1", "receipt": 1, "lines": [{"total": "secret"}]}
    with pytest.raises(UnusableEventError) as raised:
        MAPPINGS["pos.sale"].parse(told)
    assert "lines.0.description: missing" in raised.value.message
    assert "secret" not in raised.value.message
    assert raised.value.message.count(";") == 4
