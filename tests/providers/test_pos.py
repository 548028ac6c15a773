"""Provider `pos`: what a point of sale tells becomes a sale of ours, to the cent, or is kept with its reason."""

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook

from server.collections import registry
from server.ports import Account, Reading, Received, UnusableEventError, WebhookEvent
from server.providers.pos import PosProvider, PosSettings
from server.providers.pos.mapping import SALE
from server.providers.pos.payload import SaleV1
from server.providers.pos.standard import StandardScheme
from sync.protocol import Unusable
from sync.wire import decimal_text, units_of
from tests.inbox.mailroom import POS_SECRET, sale
from tests.support.shop import TIMESTAMP
from tests.support.shop import sale_fields as ours

SCHEME = StandardScheme()
ACCOUNT = Account("t", "0192f0c1-0000-7000-8000-000000000001", {"shop": "centro"}, {"secret": POS_SECRET})
REGISTRY = registry()


def sale_fields(told: SaleV1) -> dict[str, Any]:
    """The fields of the sale it becomes."""
    return dict(SALE.draft(told, ACCOUNT, "e:S-1").fields)


def read(data: Any, event_type: str = "sale.created") -> Reading:
    """What the scheme makes of an event."""
    body = json.dumps({"type": event_type, "timestamp": TIMESTAMP, "data": data}).encode()
    return SCHEME.read(WebhookEvent(ACCOUNT, "msg_1", body, TIMESTAMP), None)


def told_of(fields: dict[str, Any]) -> dict[str, Any]:
    """A sale of ours as a point of sale would tell it: the way back."""
    natures = {one["rate"]: one.get("nature") for one in fields["vat"]}
    return {
        "version": 1,
        "id": "S-1",
        "terminal": fields["terminal_id"],
        "receipt": fields["receipt_no"],
        "business_day": fields["business_day"],
        "sold_at": fields["sold_at"],
        "lines": [{**line, "nature": natures.get(line["vat_rate"])} for line in fields["lines"]],
        "vat": fields["vat"],
        "total": fields["total"],
        "payment_method": fields["payment_method"],
        "note": fields.get("note"),
    }


CENTS = st.integers(-(10**8) // 50, 10**8 // 50)
RATES = st.sampled_from(["22.00", "10.00", "5.00", "4.00", "0.00"])
LINES = st.lists(st.tuples(CENTS, RATES), min_size=1, max_size=12)


@given(LINES)
def test_a_sale_goes_there_and_back_unchanged(lines: list[tuple[int, str]]) -> None:
    """What we told as a vendor, we read as ourselves."""
    whole = [
        {
            "description": "caffè",
            "quantity": "1.000",
            "unit_price": decimal_text(cents, 2),
            "total": decimal_text(cents, 2),
            "vat_rate": rate,
            **({"product_id": "0192f0c1-0000-7000-8000-00000000000a"} if cents % 2 else {}),
        }
        for cents, rate in lines
    ]
    told = told_of(ours(lines=whole, total=decimal_text(sum(cents for cents, _ in lines), 2), note="da portare via"))
    worked_out = sale_fields(SaleV1.model_validate(told | {"vat": None}))
    again = sale_fields(SaleV1.model_validate(told_of(worked_out)))
    assert again == worked_out
    assert again["lines"] == whole


@given(LINES)
def test_vat_worked_out_is_exact_to_the_cent(lines: list[tuple[int, str]]) -> None:
    """Summed by rate first, net half up, and net and VAT always make the gross."""
    told = sale(
        lines=[
            {"description": "x", "quantity": "1", "unit_price": "1", "total": decimal_text(cents, 2), "vat_rate": rate}
            for cents, rate in lines
        ],
        total=decimal_text(sum(cents for cents, _ in lines), 2),
    )
    summed = sale_fields(SaleV1.model_validate(told))["vat"]
    assert len({one["rate"] for one in summed}) == len(summed)
    for one in summed:
        gross, net, vat = (Decimal(one[name]) for name in ("gross", "net", "vat"))
        assert gross == sum(Decimal(cents) / 100 for cents, rate in lines if rate == one["rate"])
        assert net == (gross * 100 / (100 + Decimal(one["rate"]))).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert net + vat == gross
    assert sum(units_of(one["gross"], 2) for one in summed) == units_of(told["total"], 2)


def test_the_example_of_the_domain() -> None:
    """60.00 at 10 % is 54.55 and 5.45."""
    line = {"description": "x", "quantity": "1", "unit_price": "60", "total": "60", "vat_rate": "10"}
    fields = sale_fields(SaleV1.model_validate(sale(lines=[line], total="60")))
    assert fields["vat"] == [{"rate": "10.00", "gross": "60.00", "net": "54.55", "vat": "5.45"}]


def test_what_it_makes_is_a_mutation_of_the_wires_own_form() -> None:
    """The strictest reader we have takes it as it is."""
    (draft,) = read(sale(note="con «virgolette»")).drafts
    record_id = "0192f0c1-0000-7000-8000-00000000000b"
    mutation = {"mutation_id": 1, "uid": record_id, "op": "create", "collection": draft.collection}
    parsed = REGISTRY.parse_mutation(
        mutation | {"record_id": record_id, "timestamp": TIMESTAMP, "fields": draft.fields}
    )
    assert not isinstance(parsed, Unusable)
    assert parsed["fields"] == draft.fields
    assert draft.key == f"{ACCOUNT.endpoint_id}:S-1"


def test_zero_rates_keep_their_nature_apart() -> None:
    """N4 and N2 at nought are two sums."""
    lines = [
        {"description": "x", "quantity": "1", "unit_price": "1", "total": "1", "vat_rate": "0", "nature": nature}
        for nature in ("N4", "N2.2", "N4")
    ]
    fields = sale_fields(SaleV1.model_validate(sale(lines=lines, total="3")))
    assert [(one["nature"], one["gross"]) for one in fields["vat"]] == [("N2.2", "1.00"), ("N4", "2.00")]


LINE = sale()["lines"][0]


@pytest.mark.parametrize(
    "spoil",
    [
        {"total": 2.4},
        {"total": "2.405"},
        {"total": "100000000.00"},
        {"total": "NaN"},
        {"total": "1e2"},
        {"lines": []},
        {"lines": [LINE | {"quantity": 1}]},
        {"lines": [LINE | {"vat_rate": "22%"}]},
        {"lines": [LINE | {"description": "x\x00"}]},
        {"business_day": "2025-02-30"},
        {"sold_at": "2025-11-24T10:00:00"},
        {"sold_at": "domani"},
        {"id": ""},
        {"id": "a b"},
        {"receipt": "1"},
        {"receipt": 1.5},
        {"terminal": "P 1"},
        {"payment_method": None},
    ],
)
def test_what_is_not_exact_or_not_there_is_unusable(spoil: dict[str, Any]) -> None:
    """No float, no guess; and the reason quotes nothing of what was said."""
    with pytest.raises(UnusableEventError) as raised:
        read(sale(note="canary", **spoil) if "note" not in spoil else sale(**spoil))
    assert raised.value.code == "invalid"
    assert next(iter(spoil)) in raised.value.message
    assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b"\x00", "malformed"),
        (b'{"type": "sale.created"}', "malformed"),
        (b'{"type": "sale.created", "data": {"version": 2}}', "unknown_version"),
        (b'{"type": "sale.created", "data": {}}', "unknown_version"),
        (b"[" * 100_000, "malformed"),
    ],
)
def test_what_cannot_be_read_is_unusable_and_never_an_error(body: bytes, code: str) -> None:
    """Whatever an authentic sender sends by mistake."""
    with pytest.raises(UnusableEventError) as raised:
        SCHEME.read(WebhookEvent(ACCOUNT, "msg_1", body, TIMESTAMP), None)
    assert raised.value.code == code


def test_members_we_do_not_know_are_left_alone() -> None:
    """Vendors add them."""
    assert read(sale(loyalty={"points": 3.5})).drafts == read(sale()).drafts


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": POS_SECRET},
        {"shop": "two words", "secret": POS_SECRET},
        {"shop": "centro", "secret": "whsec_"},
        {"shop": "centro", "secret": POS_SECRET, "previous_secret": "%"},
        {"shop": "centro", "secret": POS_SECRET, "surprise": "1"},
        {"shop": "centro", "secret": POS_SECRET, "scheme": "square"},
    ],
)
def test_settings_that_cannot_work_are_refused_without_being_quoted(settings: dict[str, str]) -> None:
    """Before anything is stored."""
    with pytest.raises(ValidationError) as raised:
        PosSettings.model_validate(settings)
    assert POS_SECRET.removeprefix("whsec_") not in str(raised.value)


def test_the_librarys_own_signatures_are_taken() -> None:
    """What any Standard Webhooks sender makes; its verifier agrees with ours."""
    now = datetime.now(UTC)  # the library judges by the clock on the wall
    body = b'{"type": "sale.created"}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(POS_SECRET).sign("msg_1", now, body.decode()),
    }
    Webhook(POS_SECRET).verify(body, headers)
    received = Received(headers, body, int(now.timestamp() * 1000))
    assert SCHEME.verify(ACCOUNT, received).event_type == "sale.created"


def test_it_says_what_it_can_do() -> None:
    """It is told, asks nobody, and nothing is sent to it."""
    provider = PosProvider(None, lambda: 0)  # type: ignore[arg-type]  # it asks nobody
    assert (set(provider.webhooks()), provider.pollers(), provider.operations()) == ({"standard"}, {}, {})
