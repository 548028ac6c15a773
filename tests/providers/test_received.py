"""Whatever stands in a file, what is made of it fits: each draft is a record the wire takes, and can be shown.

Files of our own always, and those of the folder that RIENTRO_SDI_SAMPLES names, each with texts replaced at random, by
a fixed seed.
"""

import os
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from server.collections import registry
from server.ports import Account, Draft, UnusableEventError
from server.providers.sdi.received import ReceivedFile, read_invoices
from server.routes.invoice_page import render_invoice
from sync.protocol import Unusable
from tests.support import fatture
from tests.support.fatture import Fattura, Riepilogo, element
from tests.support.shop import TIMESTAMP

ACCOUNT = Account("t", "e", {}, {})
RECORD_ID = "0192f0c1-0000-7000-8000-000000000001"
TEXTS = [
    "",
    " ",
    "NaN",
    "1e9",
    "-0",
    "1,5",
    "9" * 60,
    "0001-01-01",
    "2999-12-31",
    "2026-02-30",
    "x" * 3000,
    "٣",
    "€<&>\"'",
]


def full() -> bytes:
    """An invoice with all that may stand beside its sums."""
    related = [
        element(tag, IdDocumento="12/A", Data="2026-03-01")
        for tag in ("DatiOrdineAcquisto", "DatiContratto", "DatiConvenzione", "DatiRicezione", "DatiFattureCollegate")
    ]
    shipped = element("DatiDDT", NumeroDDT="88", DataDDT="2026-03-02")
    general = element("DatiRitenuta", TipoRitenuta="RT02", ImportoRitenuta="20.00", AliquotaRitenuta="20.00")
    general += element("DatiBollo", BolloVirtuale="SI", ImportoBollo="2.00")
    general += element("DatiCassaPrevidenziale", TipoCassa="TC22", AlCassa="4.00", ImportoContributoCassa="4.00")
    general += element("ScontoMaggiorazione", Tipo="SC", Percentuale="10.00", Importo="3.00") + "<Causale>c</Causale>"
    text = fatture.invoice(Fattura(general=general, extra=fatture.allegato(b"%PDF-1.7"))).decode()
    return text.replace("</DatiGeneraliDocumento>", f"</DatiGeneraliDocumento>{''.join(related)}{shipped}").encode()


def files() -> dict[str, bytes]:
    """Ours, and those of the folder."""
    own = {
        "full": full(),
        "simplified": fatture.simplified(),
        "lot": fatture.lot(3),
        "credit note": fatture.credit_note(),
    }
    own["split"] = fatture.split_payment(None)
    folder = os.environ.get("RIENTRO_SDI_SAMPLES")
    found = sorted(Path(folder).glob("[io]*/*.xml")) if folder else []
    return own | {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


FILES = files()


def drafts(data: bytes) -> list[Draft]:
    """What is made of a file; nothing but an orderly refusal is raised."""
    with suppress(UnusableEventError):
        return [*read_invoices([ReceivedFile(data)], TIMESTAMP, ACCOUNT).drafts]
    return []


def changed(data: bytes, dice: random.Random) -> Iterator[bytes]:
    """The file with texts replaced, one to three at a time."""
    text = data.decode("utf-8", "replace")
    leaves = [found.span(1) for found in re.finditer(r">([^<>]+)</", text)]
    for _ in range(12 if leaves else 0):
        made = text
        for begin, end in sorted(dice.sample(leaves, min(len(leaves), dice.randint(1, 3))), reverse=True):
            made = f"{made[:begin]}{escape(dice.choice(TEXTS))}{made[end:]}"
        yield made.encode()


def fits(draft: Draft) -> bool:
    """Whether it is a record as strictly as a client's; then it can be shown."""
    told = {"mutation_id": 1, "uid": RECORD_ID, "collection": "invoices", "record_id": RECORD_ID, "op": "create"}
    fields = {**draft.fields, **draft.once}
    parsed = registry().parse_mutation({**told, "timestamp": TIMESTAMP, "fields": fields})
    if isinstance(parsed, Unusable):
        return False
    assert render_invoice(fields).endswith("</html>\n")
    return True


@pytest.mark.parametrize("name", FILES)
def test_every_file_makes_records_and_pages(name: str) -> None:
    """As it is, whole; of three that were tampered with, whatever comes of it is no crash."""
    assert all(fits(draft) for draft in drafts(FILES[name]))
    dice = random.Random(name)
    for data in changed(FILES[name], dice):
        for draft in drafts(data):
            fits(draft)


def test_what_stands_beside_the_sums_never_costs_the_invoice() -> None:
    """Each text of the lesser parts replaced by odd ones: the record is made all the same."""
    dice = random.Random(7)
    text = full().decode()
    part = re.search(r"<DatiRitenuta>.*?</Causale>", text, re.DOTALL)
    assert part is not None
    beside = [(part.start(), part.end()), (text.index("<DatiOrdineAcquisto>"), text.index("<DatiBeniServizi>"))]
    spans = [one.span(1) for one in re.finditer(r">([^<>]+)</", text) if any(a <= one.start() < b for a, b in beside)]
    assert len(spans) > 15
    for begin, end in spans:
        for odd in dice.sample(TEXTS, 4):
            (draft,) = drafts(f"{text[:begin]}{escape(odd)}{text[end:]}".encode())
            assert fits(draft), (text[begin - 20 : begin], odd)


def test_a_record_says_all_of_it() -> None:
    """Funds, withholding, discounts, stamp duty, documents, attachment: exact, in the file's digits."""
    (draft,) = drafts(full())
    fields = draft.fields
    assert (fields["withheld"], fields["stamp_duty"], fields["causes"]) == ("20.00", "2.00", ["c"])
    assert [one["kind"] for one in fields["related"]] == [
        *("order", "contract", "agreement", "receipt", "invoice", "delivery"),
    ]
    assert (fields["funds"][0]["kind"], fields["discounts"][0]["percent"]) == ("TC22", "10.00")
    assert [(one["name"], one["size"]) for one in fields["attachments"]] == [("ddt.pdf", 8)]
    assert fields["supplier_address"] == "Via dei Mille 4, 20129 Milano, IT"


def test_an_archive_gives_its_invoices_and_passes_over_what_is_none() -> None:
    """As some hand invoices over: with the exchange's metadata beside them."""
    archive = fatture.zipped(
        {"a.xml": fatture.lot(2), "b.xml.p7m": fatture.signed(fatture.invoice()), "MT.xml": b"<M/>"}
    )
    reading = read_invoices([ReceivedFile(archive)], TIMESTAMP, ACCOUNT)
    assert (len(reading.drafts), reading.unusable, len(reading.files)) == (3, [], 3)
    broken = fatture.zipped({"a.xml": fatture.lot(1), "b.xml": fatture.invoice()[:-90]})
    reading = read_invoices([ReceivedFile(broken)], TIMESTAMP, ACCOUNT)
    assert (len(reading.drafts), [error.code for error in reading.unusable]) == (1, ["truncated"])


def test_no_text_of_a_file_becomes_part_of_the_page() -> None:
    """Each text in turn is made a picture that runs, written from right to left: the page's tags stay its own."""
    text = full().decode()
    tags = set(re.findall(r"<[^>]*>", page_of(text)))
    shown = 0
    for one in re.finditer(r">([^<>]+)</", text):
        turned = escape("1\u202e\u2066\u200f<img src=//x onerror=x>\"'")
        for draft in drafts(f"{text[: one.start(1)]}{turned}{text[one.end(1) :]}".encode()):
            page = render_invoice({**draft.fields, **draft.once})
            assert set(re.findall(r"<[^>]*>", page)) <= tags
            assert set(page).isdisjoint("\u202e\u2066\u200f")
            shown += "&lt;img" in page
    assert shown > 15


def page_of(text: str) -> str:
    """The page of a file with one invoice."""
    (draft,) = drafts(text.encode())
    return render_invoice({**draft.fields, **draft.once})


def test_invoices_of_one_archive_are_not_taken_for_each_other() -> None:
    """The id that came with a zip is none of theirs; of the same document twice, as XML and signed, it is."""
    one, other = fatture.invoice(Fattura(number="1")), fatture.invoice(Fattura(number="2"))
    both = ReceivedFile(fatture.zipped({"a.xml": one, "b.xml": other}), sdi_id="7")
    assert len({draft.key for draft in read_invoices([both], TIMESTAMP, ACCOUNT).drafts}) == 2
    twice = ReceivedFile(fatture.zipped({"a.xml": one, "a.xml.p7m": fatture.signed(one)}), sdi_id="7")
    assert {draft.key for draft in read_invoices([twice], TIMESTAMP, ACCOUNT).drafts} == {"sdi:7:1"}


def test_a_total_with_zeros_behind_its_cents_is_that_total() -> None:
    """It fits exactly; what would have to be rounded does not."""
    (draft,) = drafts(fatture.invoice(Fattura(total="122.0000", summaries=(Riepilogo(taxable="100.00000000"),))))
    assert (draft.fields["total"], draft.fields["summaries"][0]["taxable"]) == ("122.00", "100.00")
