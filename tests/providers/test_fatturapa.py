"""The invoice reader against files of our own and every file in the folder that RIENTRO_SDI_SAMPLES names.

What those should give is worked out by regular expressions and sums that share nothing with the reader.
"""

import hashlib
import os
import re
from decimal import Decimal, localcontext
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from server.providers.sdi import InvoiceBody, UnreadableInvoiceError, parse_file
from server.providers.sdi.fields import ContentCode, DocumentCode, EnvelopeCode
from server.providers.sdi.reader import MAX_UNKNOWN
from tests.support import fatture
from tests.support.fatture import Fattura, Intestazione, Involucro, Riepilogo, Riga, Voce, element

CODES = {*get_args(EnvelopeCode), *get_args(DocumentCode), *get_args(ContentCode)}
CUSTOMER = "Bar Ai Tigli di Pròspero & C. S.n.c. (1 €)"
OWN = {
    "ordinary.xml": fatture.invoice(Fattura(total="122.00", extra=fatture.allegato(b"%PDF-1.7"))),
    "no-total.xml": fatture.invoice(Fattura(rounding="-0.01")),
    "lot.xml": fatture.lot(3),
    "credit-note.xml": fatture.credit_note(),
    "split-payment.xml": fatture.split_payment(None),
    "simplified.xml": fatture.simplified(Voce(amount="25.00"), Voce(amount="9.99", rate="4.00")),
    "cp1252.xml": fatture.invoice(root=Involucro(encoding="windows-1252")),
}


def only(data: bytes) -> InvoiceBody:
    """The one body of a file."""
    (body,) = parse_file(data).bodies
    return body


def refusal(data: bytes) -> str:
    """The code with which a file is refused."""
    with pytest.raises(UnreadableInvoiceError) as caught:
        parse_file(data)
    return caught.value.code


def said(thing: BaseModel | None, names: str) -> list[str]:
    """Some fields, as text: Decimals with all their digits."""
    return [str(getattr(thing, name)) for name in names.split()]


def test_header() -> None:
    """A file says its format, its transmission and both parties; it is known by its own hash."""
    data = fatture.invoice(header=Intestazione(supplier_fiscal_code="FRRDAA80A41F205X"))
    file = parse_file(data, "IT00743110157_00A17.xml")
    assert said(file, "filename format signed signature") == ["IT00743110157_00A17.xml", "FPR12", "False", "absent"]
    assert said(file.transmission, "sender_code progressive recipient_code") == ["00743110157", "00A17", "XYZ4321"]
    assert said(file.supplier, "vat_country vat_code fiscal_code") == ["IT", "00743110157", "FRRDAA80A41F205X"]
    assert said(file.customer, "name vat_code") == [CUSTOMER, "07643520567"]
    assert file.sha256 == hashlib.sha256(data).hexdigest()


def test_body() -> None:
    """A body says its identity, lines in the file's own digits, terms, withholding and attachments."""
    held = element("DatiRitenuta", TipoRitenuta="RT01", ImportoRitenuta="20.00", CausalePagamento="A")
    term = element("DettaglioPagamento", ModalitaPagamento="MP05", DataScadenzaPagamento="2026-04-30", IBAN="IT60X05")
    extra = element("DatiPagamento", term, CondizioniPagamento="TP02") + fatture.allegato(b"%PDF-1.7")
    body = only(fatture.invoice(Fattura(lines=(Riga(quantity="8.00000"),), general=held, extra=extra)))
    assert said(body, "position document_type number issued_on currency") == [
        "1",
        "TD01",
        "2026/17",
        "2026-03-31",
        "EUR",
    ]
    assert said(body.lines[0], "number quantity unit_price total vat_rate") == [
        "1",
        "8.00000",
        "12.50",
        "100.00",
        "22.00",
    ]
    assert said(body.summaries[0], "rate taxable tax due derived") == ["22.00", "100.00", "22.00", "I", "False"]
    assert said(body.withholding[0], "kind amount rate reason") == ["RT01", "20.00", "None", "A"]
    assert said(body.payment_terms[0], "conditions method due_on iban") == ["TP02", "MP05", "2026-04-30", "IT60X05"]
    assert said(body.attachments[0], "name format size") == ["ddt.pdf", "PDF", "8"]
    assert body.attachments[0].content() == b"%PDF-1.7"
    assert body.attachments[0].sha256 == hashlib.sha256(b"%PDF-1.7").hexdigest()
    assert body.unknown == ()


def test_results_are_frozen() -> None:
    """What was read cannot be changed."""
    with pytest.raises(ValidationError):
        only(OWN["ordinary.xml"]).number = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Fattura(total="120.00"), "120.00 False 120.00"),  # the stated total wins over the sums
        (Fattura(total=" 122\n"), "122.00 False 122.00"),
        (Fattura(), "122.00 True 122.00"),
        (Fattura(total="", rounding="-0.03"), "121.97 True 121.97"),
        (Fattura(summaries=(Riepilogo(), Riepilogo(taxable="0.10", tax="0.02"))), "122.12 True 122.12"),
        (Fattura(summaries=(Riepilogo(due="S"), Riepilogo())), "244.00 True 222.00"),
        (Fattura(total="122.00", summaries=(Riepilogo(due="S"),)), "122.00 False 100.00"),
        (Fattura(summaries=(Riepilogo(taxable="-1.50", tax="-0.33"),)), "-1.83 True -1.83"),
        (Fattura(total="-0.00"), "0.00 False 0.00"),
        (Fattura(total="99999999.99"), "99999999.99 False 99999999.99"),
        (Fattura(summaries=()), "None False None"),  # nothing is made up
    ],
)
def test_totals(body: Fattura, expected: str) -> None:
    """The total is the stated one, else the sum of the summaries and the rounding; split VAT is not payable."""
    with localcontext(prec=3):  # whoever calls may have other ideas of precision
        read = only(fatture.invoice(body))
    assert said(read, "total total_derived payable") == expected.split()


@pytest.mark.parametrize(("document_type", "sign"), [("TD01", 1), ("TD04", -1), ("TD05", 1), ("TD29", 1), ("TD99", 1)])
def test_sign(document_type: str, sign: int) -> None:
    """A credit note keeps its positive amounts and has a negative sign; types not yet invented are read."""
    assert said(only(fatture.invoice(Fattura(document_type=document_type))), "sign total") == [str(sign), "122.00"]


def test_simplified() -> None:
    """Simplified amounts contain their VAT: taken as stated, or worked out once for each rate, half up."""
    meal, paid = Voce(amount="30.00", rate="10.00"), Voce(amount="12.20", tax="2.20")
    file = parse_file(
        fatture.simplified(meal, meal, paid, Voce(amount="5", rate=None, natura="N4"), document_type="TD08")
    )
    body = file.bodies[0]
    assert said(file, "format") + said(file.supplier, "name") == ["FSM10", "Ada Ferri"]
    assert said(file.customer, "name fiscal_code") == ["Bar Ai Tigli", "07643520567"]
    assert said(body, "total total_derived payable sign") == ["77.20", "True", "77.20", "-1"]
    shares = [" ".join(said(part, "rate natura taxable tax derived")) for part in body.summaries]
    assert shares == ["22.00 None 10.00 2.20 False", "10.00 None 54.55 5.45 True", "0 N4 5.00 0.00 True"]
    assert [line.total for line in body.lines] == ["30.00", "30.00", "12.20", "5"]


def test_half_a_cent_goes_up() -> None:
    """13 cents at 4 % are 12.5 net: 13, and not 12 as half-even would have it."""
    (share,) = only(fatture.simplified(Voce(amount="0.13", rate="4.00"))).summaries
    assert said(share, "taxable tax") == ["0.13", "0.00"]


def test_lot_keeps_what_can_be_used() -> None:
    """An unusable body of a lot is listed with its position; the others keep theirs."""
    bad = Fattura(number="2", issued_on="31/03/2026")
    file = parse_file(fatture.invoice(Fattura(number="1"), bad, Fattura(number="3")))
    assert [(body.position, body.number) for body in file.bodies] == [(1, "1"), (3, "3")]
    assert [(body.position, body.code) for body in file.unreadable] == [(2, "bad_date")]


@pytest.mark.parametrize("aside", ["<!-- <FatturaElettronicaHeader> -->", "<![CDATA[<FatturaElettronicaHeader>]]>"])
def test_what_only_speaks_of_another_document_is_none(aside: str) -> None:
    """In a comment, or in a text; behind the document's end it is one."""
    whole = fatture.invoice()
    assert only(whole.replace(b"<Descrizione>", f"<Descrizione>{aside}".encode())).number == "2026/17"
    assert refusal(whole + whole.partition(b"?>")[2]) == "several_documents"


def test_of_many_unknown_elements_not_all_are_kept() -> None:
    """A file of nothing else would take gigabytes."""
    assert len(only(fatture.invoice(Fattura(extra="<x>1</x>" * 9000))).unknown) == MAX_UNKNOWN


def test_unknown_elements_are_kept() -> None:
    """What no field holds is kept with its path, repeated elements apart; so is what a lesser field cannot read."""
    phases = "".join(element("DatiSAL", RiferimentoFase=str(n)) for n in (1, 2))
    body = Fattura(general="<Novità2031>sì</Novità2031>", extra=phases, lines=(Riga(quantity="1,5"),))
    file = parse_file(fatture.invoice(body, header=Intestazione(extra="<SoggettoEmittente>TZ</SoggettoEmittente>")))
    assert [(found.path, found.text) for found in file.bodies[0].unknown] == [
        ("DatiGenerali/DatiGeneraliDocumento/Novità2031", "sì"),
        ("DatiBeniServizi/DettaglioLinee/Quantita", "1,5"),
        ("DatiSAL[1]/RiferimentoFase", "1"),
        ("DatiSAL[2]/RiferimentoFase", "2"),
    ]
    assert file.bodies[0].lines[0].quantity is None
    assert ("FatturaElettronicaHeader/SoggettoEmittente", "TZ") in [(found.path, found.text) for found in file.unknown]


@pytest.mark.parametrize("encoded", ["QQ==", "QQ", "Q\n Q=", "QQ====="])
def test_attachment_with_careless_base64(encoded: str) -> None:
    """Base64 is read through line ends, and with too little or too much padding."""
    assert only(fatture.invoice(Fattura(extra=fatture.allegato(b"", encoded=encoded)))).attachments[0].content() == b"A"


def test_damaged_attachment_does_not_cost_the_invoice() -> None:
    """An attachment that is not base64 has neither hash nor size; asking for its bytes says why."""
    attachment = only(fatture.invoice(Fattura(extra=fatture.allegato(b"", encoded="%%%")))).attachments[0]
    assert said(attachment, "sha256 size encoded") == ["None", "None", "%%%"]
    with pytest.raises(UnreadableInvoiceError, match="bad_attachment"):
        attachment.content()


@pytest.mark.parametrize("written", [" 2026-03-31\t", "2026-03-31Z", "2026-03-31+02:00", "2026-03-31T00:00:00"])
def test_dates(written: str) -> None:
    """A date is read through white space, a zone or a time."""
    assert only(fatture.invoice(Fattura(issued_on=written))).issued_on == "2026-03-31"


NAMESPACES = {
    "a blank inside": ' xmlns:p="http://ivaservizi.agenziaentrate.gov.it/ docs/xsd/fatture/v1.2"',
    "an old one": ' xmlns:p="http://www.fatturapa.gov.it/sdi/fatturapa/v1.1"',
    "none for the prefix": "",
}
ENCODINGS = ("windows-1252", "iso-8859-15", "utf-16", "utf-16-be", "utf-16-le", "utf-8-sig")
READABLE = {
    **{name: fatture.invoice(root=Involucro(declaration=declaration)) for name, declaration in NAMESPACES.items()},
    "no namespace": fatture.invoice(root=Involucro(prefix="", declaration="")),
    **{encoding: fatture.invoice(root=Involucro(encoding=encoding)) for encoding in ENCODINGS},
    "says utf-8, is cp1252": OWN["cp1252.xml"].replace(b"windows-1252", b"UTF-8"),
    "says utf-16, is utf-8": fatture.invoice().replace(b"UTF-8", b"utf-16"),
    "an unknown encoding": fatture.invoice().replace(b"UTF-8", b"x-unheard-of"),
    "two byte order marks": b"\n \xef\xbb\xbf\xef\xbb\xbf \r\n" + fatture.invoice(),
    "junk at the end": fatture.invoice() + b"\x1a\0\0-- sent by a pleasant program --",
    "XAdES": fatture.invoice(tail='<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">…</ds:Signature>'),
}


@pytest.mark.parametrize("name", READABLE)
def test_what_a_person_could_read(name: str) -> None:
    """No odd namespace or prefix, no undeclared encoding, no junk before the first tag or after the last hinders."""
    file = parse_file(READABLE[name])
    assert said(file.customer, "name") == [CUSTOMER]
    assert {found.path.partition("/")[0] for found in file.unknown} == set()
    assert said(file, "signed signature") == (["True", "unverified"] if name == "XAdES" else ["False", "absent"])


REFUSED = {
    "archive": fatture.zipped({"a.xml": fatture.invoice()}),
    "bad_amount: exponent": fatture.invoice(Fattura(total="1e3")),
    "bad_amount: comma": fatture.invoice(Fattura(summaries=(Riepilogo(tax="22,00"),))),
    "bad_amount: rate": fatture.simplified(Voce(rate="-100.00")),
    "bad_date": fatture.invoice(Fattura(issued_on="2026-02-30")),
    "bad_p7m": fatture.wrapped(fatture.invoice(), "der")[:900],
    "doctype_forbidden: bare": b"<!DOCTYPE FatturaElettronica>" + fatture.simplified(),
    "doctype_forbidden: entity": b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
    "empty": b" \r\n",
    "malformed: tags": b"<p:FatturaElettronica><a></b>",
    "malformed: no XML": b"\x89PNG",
    "missing_element: number": fatture.invoice(Fattura(number=" ")),
    "missing_element: VAT": fatture.simplified(Voce(rate=None)),
    "no_body": re.sub(rb"<FatturaElettronicaBody>.*Body>", b"", fatture.invoice()),
    "no_root": b"<RicevutaConsegna><IdentificativoSdI>1</IdentificativoSdI></RicevutaConsegna>",
    "no_supplier": re.sub(rb"<CedentePrestatore>.*CedentePrestatore>", b"", fatture.invoice()),
    "several_documents": fatture.invoice() + fatture.invoice(),
    "too_deep": b"<FatturaElettronica>" + b"<a>" * 100_000,
    "too_large: elements": b"<FatturaElettronica>" + b"<b/>" * 300_000 + b"</FatturaElettronica>",
    "too_large: bytes": fatture.invoice(tail=" " * 5 * 1024 * 1024),
    "total_out_of_range: digits": fatture.invoice(Fattura(total="100000000.00")),
    "total_out_of_range: decimals": fatture.invoice(Fattura(total="122.005")),
    "total_out_of_range: sum": fatture.invoice(Fattura(summaries=(Riepilogo(taxable="99999999.99"),))),
    "truncated": fatture.invoice()[:-200],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What cannot be used is refused with a code of its own."""
    assert refusal(REFUSED[name]) == name.partition(":")[0]


def test_codes_are_stable() -> None:
    """Every code but those of archives and single attachments is reached by a file above; none is forgotten."""
    assert {name.partition(":")[0] for name in REFUSED} == CODES - {"bad_attachment", "bad_zip", "zip_bomb"}


@given(st.integers(-(10**11), 10**11), st.integers(0, 4))
def test_stated_totals_are_exact_or_refused(digits: int, places: int) -> None:
    """A total that is a DECIMAL(10,2) is read to the digit; any other is refused, never rounded."""
    total = Decimal(digits).scaleb(-places)
    data = fatture.invoice(Fattura(total=f"{total:f}"))
    if digits % 10 ** max(0, places - 2) == 0 and abs(total) < 10**8:  # zeros may follow the cents
        assert only(data).total == total
    else:
        assert refusal(data) == "total_out_of_range"


CENTS = st.integers(-(10**8), 10**8)


@given(st.lists(st.tuples(CENTS, CENTS, st.sampled_from(["I", "D", "S", None])), min_size=1), CENTS)
def test_derived_totals_are_exact(parts: list[tuple[int, int, str | None]], rounding: int) -> None:
    """A derived total is the sum in whole cents, and what is payable lacks the split VAT."""
    summaries = [Riepilogo(taxable=euro(net), tax=euro(tax), due=due) for net, tax, due in parts]
    body = only(fatture.invoice(Fattura(summaries=summaries, rounding=euro(rounding))))
    total = sum(net + tax for net, tax, _ in parts) + rounding
    payable = total - sum(tax for _, tax, due in parts if due == "S")
    assert said(body, "total payable") == [euro(total), euro(payable)]


def euro(cents: int) -> str:
    """Whole cents as digits with two decimals."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


@given(st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from([0, 4, 5, 10, 22])), min_size=1, max_size=9))
def test_simplified_vat_is_half_up_by_rate(items: list[tuple[int, int]]) -> None:
    """VAT inside a gross amount: net and VAT make the gross again, and the net is the nearest cent."""
    body = only(fatture.simplified(*(Voce(amount=euro(cents), rate=f"{rate}.00") for cents, rate in items)))
    gross = {rate: sum(cents for cents, other in items if other == rate) for _, rate in items}
    net = {rate: (200 * cents + 100 + rate) // (2 * (100 + rate)) for rate, cents in gross.items()}
    assert {int(part.rate or 0): said(part, "taxable tax") for part in body.summaries} == {
        rate: [euro(net[rate]), euro(gross[rate] - net[rate])] for rate in gross
    }


@given(st.from_regex(r"-?[0-9]{1,11}\.[0-9]{2,8}", fullmatch=True))
def test_lines_keep_the_digits_of_the_file(digits: str) -> None:
    """Quantities and prices come out as they went in, trailing zeros and all."""
    line = only(fatture.invoice(Fattura(lines=(Riga(quantity=digits, unit_price=digits, total=digits),)))).lines[0]
    assert said(line, "quantity unit_price total") == [digits] * 3


def samples() -> dict[str, bytes]:
    """Our own files, and those of the folder if one is named."""
    folder = os.environ.get("RIENTRO_SDI_SAMPLES")
    found = sorted(Path(folder).rglob("*.xml")) if folder else []
    return OWN | {f"{file.parent.name}/{file.name}": file.read_bytes() for file in found}


SAMPLES = samples()
SAMPLES_REFUSED = {
    "odd/empty.xml": "empty",
    "odd/missing_CedentePrestatore.xml": "no_supplier",
    "odd/no-body.xml": "no_body",
    "odd/truncated.xml": "truncated",
    "odd/xxe-doctype.xml": "doctype_forbidden",
}


def amounts(xml: str, tag: str) -> list[Decimal]:
    """Every amount under one tag, found by its text alone."""
    return [Decimal(found) for found in re.findall(rf"<{tag}>\s*([-+.0-9]+)\s*</{tag}>", xml)]


def reckoned(xml: str) -> tuple[str, str, str, str, str]:
    """Number, date, total, whether it is a sum, and what is payable, of one body's text."""
    general = re.findall(r"<DatiGeneraliDocumento>.*</DatiGeneraliDocumento>", xml, re.DOTALL)[0]
    goods = xml.replace(general, "")
    stated = amounts(general, "ImportoTotaleDocumento")
    parts = amounts(goods, "ImponibileImporto") + amounts(goods, "Imposta") + amounts(general, "Arrotondamento")
    gross = amounts(re.sub(r"<(ScontoMaggiorazione)>.*?</\1>", "", goods, flags=re.DOTALL), "Importo")
    total = stated[0] if stated else sum(gross or parts, start=Decimal("0.00"))
    split = re.findall(r"<Imposta>([-.0-9]+)</Imposta>\s*<EsigibilitaIVA>S<", goods)
    number, day = (re.findall(rf"<{tag}>\s*(.*?)\s*</{tag}>", general)[0] for tag in ("Numero", "Data"))
    return number, day, str(total), str(not stated), str(total - sum(map(Decimal, split)))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    """Every invoice gives number, date and amounts exact to the cent; every other file its reason."""
    data = SAMPLES[name]
    if name in SAMPLES_REFUSED or name.startswith("notifications/"):
        assert refusal(data) == SAMPLES_REFUSED.get(name, "no_root")
        return
    text = data.decode("windows-1252" if b"windows-1252" in data[:60] else "utf-8")
    bodies = re.findall(r"<FatturaElettronicaBody.*?</FatturaElettronicaBody>", text, re.DOTALL)
    file = parse_file(data, name)
    assert file.unreadable == ()
    read = [tuple(said(body, "number issued_on total total_derived payable")) for body in file.bodies]
    assert read == [reckoned(body) for body in bodies]
