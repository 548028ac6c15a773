"""The files we write: valid by our own form and by the official schema, and exact when they are read back."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from server.engine.document import buyer_of, goods_of, seller_of
from server.providers.sdi import parse_file
from server.providers.sdi.seller import SellerSettings
from server.providers.sdi.writer import UnwritableInvoiceError, latin, write_invoice
from server.providers.sdi.writer_form import faults_of
from tests.sending.office import CUSTOMER, SELLER
from tests.support.shop import sale_fields

SAMPLES = os.environ.get("RIENTRO_SDI_SAMPLES")
NOBODY = dict.fromkeys(
    ("vat_number", "tax_code", "sdi_code", "pec", "address", "postcode", "city", "province", "country")
)


def official() -> etree.XMLSchema | None:
    """The official schema (1.2.2), where the samples are at hand; it is not carried here."""
    if SAMPLES is None:
        return None
    file = Path(SAMPLES) / "schema" / "FatturaPA_v1.2.2.xsd"
    return etree.XMLSchema(etree.parse(str(file), etree.XMLParser(no_network=True)))


SCHEMA = official()


def composed(sale: Mapping[str, Any], customer: Mapping[str, Any] = CUSTOMER, **replaced: Any) -> dict[str, Any]:
    """An issued invoice's fields, composed as the server does."""
    goods, problems = goods_of({"status": "completed", **sale})
    buyer, missing = buyer_of({**NOBODY, **customer})
    assert [*problems, *missing] == []
    fields = {
        **goods,
        "buyer": buyer,
        "seller": seller_of(SELLER),
        "document_type": "TD01",
        "issued_on": "2025-11-24",
        "number": "17",
        "file_name": "IT01234567890_R0001.xml",
        "credits_number": None,
        "credits_issued_on": None,
    }
    return fields | replaced


def line(description: str, quantity: str, unit_price: str, total: str, vat_rate: str) -> dict[str, str]:
    """A line of a sale."""
    said = {"description": description, "quantity": quantity, "unit_price": unit_price}
    return {**said, "total": total, "vat_rate": vat_rate}


def mixed(**replaced: Any) -> dict[str, Any]:
    """A sale at three rates, one of them exempt, with a return among its lines."""
    lines = [
        line("Caffè in grani", "3.000", "20.00", "60.00", "10.00"),
        line("Tazza", "1.000", "12.20", "12.20", "22.00"),
        line("Reso tazza", "-1.000", "2.20", "-2.20", "22.00"),
        line("Corso", "1.000", "80.00", "80.00", "0.00"),
    ]
    vat = [
        {"rate": "10.00", "gross": "60.00", "net": "54.55", "vat": "5.45"},
        {"rate": "22.00", "gross": "10.00", "net": "8.20", "vat": "1.80"},
        {"rate": "0.00", "gross": "80.00", "net": "80.00", "vat": "0.00", "nature": "N4"},
    ]
    return sale_fields(lines=lines, vat=vat, total="150.00", payment_method="card") | replaced


def checked(fields: Mapping[str, Any]) -> bytes:
    """The file; by our form it is valid or there is none, by the official schema where that is at hand."""
    written = write_invoice(fields)
    if SCHEMA is not None:
        parser = etree.XMLParser(no_network=True, resolve_entities=False)
        SCHEMA.assertValid(etree.fromstring(written, parser))
    return written


def test_a_sale_at_three_rates_is_read_back_to_the_cent() -> None:
    """Sums by rate, total and stamp duty (above 77.47 exempt) are the sale's; lines add up to the sums."""
    read = parse_file(checked(composed(mixed())), "IT01234567890_R0001.xml")
    (body,) = read.bodies
    assert (read.format, body.number, body.issued_on, body.document_type) == ("FPR12", "17", "2025-11-24", "TD01")
    assert (body.total, body.total_derived) == (Decimal("150.00"), False)
    sums = [(str(one.rate), str(one.taxable), str(one.tax), one.natura) for one in body.summaries]
    assert sums == [("10.00", "54.55", "5.45", None), ("22.00", "8.20", "1.80", None), ("0.00", "80.00", "0.00", "N4")]
    for one in body.summaries:
        lines = sum(Decimal(each.total or "0") for each in body.lines if each.vat_rate == one.rate)
        assert abs(lines - (one.taxable or Decimal(0))) <= Decimal("0.005")
    assert composed(mixed())["stamp_duty"] == "2.00"
    assert read.supplier.vat_code == "01234567890"


@pytest.mark.parametrize(
    ("customer", "code", "form"),
    [
        ({}, "ABC1234", "FPR12"),
        ({"sdi_code": "UF1234"}, "UF1234", "FPA12"),
        ({"sdi_code": None, "pec": "fatture@pec.example.it"}, "0000000", "FPR12"),
        ({"sdi_code": None, "vat_number": None, "tax_code": "rssmra80a01f205x"}, "0000000", "FPR12"),
        ({"country": "DE", "vat_number": "DE123456789", "postcode": "10115", "province": None}, "XXXXXXX", "FPR12"),
    ],
)
def test_whom_it_is_for_decides_the_form_and_the_address(customer: dict[str, Any], code: str, form: str) -> None:
    """A company, a public body, somebody with certified mail, a private person, a firm abroad."""
    root = fromstring(checked(composed(mixed(), {**CUSTOMER, **customer})))  # noqa: S314  # our own
    header = root[0]
    assert (root.get("versione"), header.findtext(".//CodiceDestinatario")) == (form, code)
    assert header.findtext(".//PECDestinatario") == customer.get("pec")


def test_a_credit_note_names_what_it_takes_back() -> None:
    """Its amounts are positive: the type says which way they go."""
    note = composed(mixed(), document_type="TD04", credits_number="16", credits_issued_on="2025-11-23")
    body = fromstring(checked(note))[1]  # noqa: S314  # our own
    named = [body.findtext(f".//{name}") for name in ("TipoDocumento", "IdDocumento", "ImportoTotaleDocumento")]
    assert named == ["TD04", "16", "150.00"]
    assert body.find("DatiPagamento") is None


PRICES = st.integers(1, 500_000)
RATES = st.sampled_from(("4.00", "5.00", "10.00", "22.00"))


@given(st.lists(st.tuples(PRICES, st.integers(1, 9999), RATES), min_size=1, max_size=8), st.text(max_size=90))
def test_whatever_is_sold_its_file_is_valid_and_exact(sold: list[tuple[int, int, str]], name: str) -> None:
    """Any prices, thousandths of a quantity, rates and names."""
    lines, gross = [], dict[str, Decimal]()
    for cents, thousandths, rate in sold:
        total = Decimal(cents).scaleb(-2)
        quantity = str(Decimal(thousandths).scaleb(-3).quantize(Decimal("0.001")))
        lines.append(line(name, quantity, "1.00", str(total), rate))
        gross[rate] = gross.get(rate, Decimal(0)) + total
    vat = []
    for rate, total in gross.items():
        net = (total / (1 + Decimal(rate) / 100)).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        vat.append({"rate": rate, "gross": str(total), "net": str(net), "vat": str(total - net)})
    sale = sale_fields(lines=lines, vat=vat, total=str(sum(gross.values())))
    (body,) = parse_file(checked(composed(sale, {**CUSTOMER, "name": name or "x"}))).bodies
    assert body.total == sum(gross.values())
    for written in body.lines:
        each, times = Decimal(written.unit_price or "0"), Decimal(written.quantity or "1")
        assert abs(each * times - Decimal(written.total or "0")) <= Decimal("0.01")


def test_a_customer_abroad_is_named_by_the_code_of_their_country() -> None:
    """SDI wants one of two (00417), and only Italians have the other."""
    abroad = {**CUSTOMER, "country": "CH", "vat_number": None, "tax_code": "X1234567"}
    (named,) = fromstring(checked(composed(mixed(), abroad))).iterfind(".//CessionarioCommittente//IdFiscaleIVA")  # noqa: S314  # our own
    assert [one.text for one in named] == ["CH", "X1234567"]


@pytest.mark.parametrize("pec", ["à@pec.it", "a@è.it", "a b@c.it", "a..b@c.it", "a@b"])
def test_mail_the_form_does_not_take_is_found_before_a_number_is_used(pec: str) -> None:
    """It would be an invoice that has a number and no file."""
    assert buyer_of({**NOBODY, **CUSTOMER, "sdi_code": None, "pec": pec})[1] == ["bad_pec"]


def test_a_price_that_eight_places_cannot_hold_is_the_total() -> None:
    """Millions for cents: quantity times price would miss the total (00423)."""
    many = line("Semi", "4949008.844", "0.00", "782.78", "4.00")
    vat = [{"rate": "4.00", "gross": "782.78", "net": "752.67", "vat": "30.11"}]
    (written,) = parse_file(checked(composed(sale_fields(lines=[many], vat=vat, total="782.78")))).bodies[0].lines
    assert (written.quantity, written.unit_price, written.total) == (None, "752.67307692", "752.67307692")


def test_letters_the_format_does_not_know_are_written_by_the_nearest() -> None:
    """Nobody's invoice is discarded for a curly apostrophe."""
    assert (
        latin("L\u2019Oréal \u2013 10 \u20ac\n caff\u00e8 \u0142ód\u017a \u4e2d", 60) == "L'Oréal - 10 EUR caffè lódz ?"
    )
    assert (latin("\x00 \n", 9), latin("a" * 99, 5)) == ("-", "aaaaa")


def test_what_would_be_discarded_for_its_form_is_not_written() -> None:
    """The element is named, its value is not."""
    wrong: list[tuple[str, Any, str]] = [
        ("number", "x" * 21, "Numero"),
        ("total", "1.2", "ImportoTotaleDocumento"),
        ("lines", [], "DatiBeniServizi has no DettaglioLinee"),
        ("document_type", "TD99", "TipoDocumento"),
        ("buyer", None, "the record is not composed"),
    ]
    for field, value, fault in wrong:
        with pytest.raises(UnwritableInvoiceError) as refused:
            write_invoice(composed(mixed(), **{field: value}))
        assert fault in str(refused.value)
    upside_down = fromstring(write_invoice(composed(mixed())))  # noqa: S314  # our own
    upside_down[:] = upside_down[::-1]
    assert faults_of(upside_down)


def test_the_same_fields_are_the_same_bytes() -> None:
    """At every attempt."""
    assert write_invoice(composed(mixed())) == write_invoice(composed(mixed()))


@pytest.mark.parametrize(
    ("sale", "problem"),
    [
        ({"total": "0.00", "lines": [], "vat": []}, "nothing_to_pay"),
        ({"vat": [{"rate": "10.00", "gross": "1.20", "net": "1.20", "vat": "0.00"}]}, "vat_does_not_add_up"),
        ({"vat": [{"rate": "22.00", "gross": "1.20", "net": "0.98", "vat": "0.22"}]}, "lines_do_not_add_up"),
        ({"vat": [{"rate": "0.00", "gross": "1.20", "net": "1.20", "vat": "0.00"}]}, "no_nature"),
        ({"vat": [{"rate": "0.00", "gross": "1.20", "net": "1.20", "vat": "0.00", "nature": "N2"}]}, "nature_too_wide"),
        ({"vat": [{"rate": "0.00", "gross": "1.20", "net": "1.20", "vat": "0.00", "nature": "N3.7"}]}, "bad_nature"),
        ({"status": "voided"}, "sale_voided"),
    ],
)
def test_what_sdi_would_discard_is_found_before_a_number_is_used(sale: dict[str, Any], problem: str) -> None:
    """By a word for a person."""
    _, problems = goods_of({"status": "completed", **sale_fields(), **sale})
    assert problem in problems


def test_the_settings_and_the_engine_name_the_seller_alike() -> None:
    """What one asks for, the other reads; half a seller is refused, none is not."""
    settings = SellerSettings.model_validate(SELLER)
    assert seller_of(settings.model_dump()) == {
        "name": "Bar Centrale di Ada Rossi",
        "vat_number": "IT01234567890",
        "regime": "RF01",
        "address": "Via Roma, 1",
        "postcode": "40121",
        "city": "Bologna",
        "province": "BO",
        "country": "IT",
    }
    assert seller_of(SellerSettings().model_dump()) is None
    with pytest.raises(ValueError, match="a seller has"):
        SellerSettings(seller_name="Bar")
