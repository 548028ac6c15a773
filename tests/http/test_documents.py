"""`/v1/invoices/{id}/…`: the page is ours and safe, files are downloads, for those who may see the invoice."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from typing import Any

import httpx
import pytest

from server.app import create_app, open_core
from server.inbox.files import keep_files
from server.ports import Account, Cause, Draft
from server.providers.sdi.received import ReceivedFile, read_invoices
from server.settings import Settings
from server.storage.writer import Job, Writing
from tests.support import fatture
from tests.support.fatture import Fattura, Intestazione, Riepilogo, Riga, element
from tests.support.serving import in_process
from tests.support.shop import TIMESTAMP, Ids

PAGE = b"<html><script>alert(1)</script></html>"
NASTY = '<script>alert("x")</script>'
ROLES = ("owner", "clerk", "terminal")


@dataclass
class Desk:
    """An application with one received invoice, and who may ask for it."""

    http: httpx.AsyncClient
    tokens: dict[str, str]
    invoice: str
    file: bytes

    async def get(self, what: str, who: str = "owner", invoice: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.http.get(f"/v1/invoices/{invoice or self.invoice}/{what}", headers=headers)


def signed_file() -> bytes:
    """A credit note with everything beside its sums, an attachment that is a page, and nasty texts."""
    general = element("DatiRitenuta", TipoRitenuta="RT01", ImportoRitenuta="20.00", AliquotaRitenuta="20.00")
    general += element("DatiBollo", BolloVirtuale="SI", ImportoBollo="2.00")
    general += element("DatiCassaPrevidenziale", TipoCassa="TC22", AlCassa="4.00", ImportoContributoCassa="4.00")
    general += "<Causale>Reso merce</Causale><Causale>seconda riga</Causale>"
    term = element("DettaglioPagamento", ModalitaPagamento="MP05", DataScadenzaPagamento="2026-04-30", IBAN="IT60X05")
    extra = element("DatiPagamento", term, CondizioniPagamento="TP02")
    extra += fatture.allegato(PAGE, "../../fattura 1.html") + fatture.allegato(b"", "rotto.pdf", encoded="%%%")
    body = Fattura(
        document_type="TD04",
        number=NASTY[:20],
        lines=(Riga(description=f"{NASTY} & Caffè", unit_price="1234.50000000"),),
        summaries=(Riepilogo(due="S"),),
        general=general,
        extra=extra,
    )
    return fatture.signed(fatture.invoice(body, header=Intestazione(supplier=f"{NASTY} S.r.l.")))


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """Opened on either database."""
    ids = Ids(5)
    account = Account("t", "e", {}, {})
    file = signed_file()
    reading = read_invoices([ReceivedFile(file, "IT1_1.xml.p7m", "77")], TIMESTAMP, account)
    (draft,) = reading.drafts
    async with open_core(settings, migrate=False) as core:
        tenant_id, other = [await core.admin.add_tenant(name) for name in ("Bar Centrale", "Bar Sport")]
        tokens = {role: (await core.admin.add_device(tenant_id, role, role, "centro")).token for role in ROLES}
        tokens["stranger"] = (await core.admin.add_device(other, "stranger", "owner", "centro")).token
        invoice = ids()

        async def job(writing: Writing) -> None:
            made = [_created(draft, invoice, ids())]
            outcomes = await core.applier.apply(writing, tenant_id, "system:test", made, Cause("test"))  # type: ignore[arg-type]  # wire form
            assert [one.status for one in outcomes] == ["applied"]
            await keep_files(writing, tenant_id, reading.files)

        await core.writer.submit(Job([tenant_id], job))
    async with in_process(create_app(settings, migrate=False)) as http:
        yield Desk(http, tokens, invoice, file)


def _created(draft: Draft, record_id: str, uid: str) -> dict[str, Any]:
    made = {"mutation_id": 1, "uid": uid, "collection": "invoices", "record_id": record_id, "op": "create"}
    return {**made, "timestamp": TIMESTAMP, "fields": {**draft.fields, **draft.once}}


async def test_the_page_says_what_the_invoice_says(desk: Desk) -> None:
    """In Italian words, every text escaped, without script, link or picture."""
    answer = await desk.get("view")
    page = answer.text
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    for said in (
        "Nota di credito",
        "31/03/2026",
        "1.234,5",
        "-100,00 €",
        "-22,00 €",
        "Bonifico",
        "IT60X05",
        "30/04/2026",
    ):
        assert said in page, said
    for said in ("Reso merce", "Ritenuta persone fisiche", "Cassa previdenziale TC22", "Scissione dei pagamenti"):
        assert said in page, said
    for said in ("Netto a pagare", "-80,00 €", "fattura 1.html", "danneggiato nel file", "firma integra"):
        assert said in page, said
    assert "<script" not in page
    assert f"{NASTY} & Caffè" in unescape(page)
    assert re.findall(r"<(?:a|img|link|iframe|form|object)\b", page) == []


async def test_the_pages_policy_lets_nothing_run_and_nothing_load(desk: Desk) -> None:
    """Only the one style sheet, by its hash; the page says so itself where it is saved."""
    answer = await desk.get("view")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert "default-src &#x27;none&#x27;" in answer.text


async def test_files_come_as_downloads_of_no_type(desk: Desk) -> None:
    """Whatever they say they are: a page is never shown as one, and its name is no path."""
    attachment = await desk.get(f"attachments/{sha256(PAGE).hexdigest()}")
    file = await desk.get("file")
    assert attachment.content == PAGE
    assert file.content == desk.file
    for answer in (attachment, file):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "fattura 1.html" in attachment.headers["content-disposition"]
    assert "/" not in attachment.headers["content-disposition"].partition("filename*")[0]


@pytest.mark.parametrize("what", ["view", "file", f"attachments/{sha256(PAGE).hexdigest()}"])
async def test_only_owners_and_clerks_of_this_merchant_are_given_anything(desk: Desk, what: str) -> None:
    """A till is not; to another merchant there is no such invoice, as if it named nobody's."""
    answers = {who: (await desk.get(what, who)).status_code for who in desk.tokens}
    assert answers == {"owner": 200, "clerk": 200, "terminal": 403, "stranger": 404}
    nobodys = await desk.get(what, "stranger", Ids(9)())
    assert nobodys.json() == (await desk.get(what, "stranger")).json()


async def test_a_hash_that_the_invoice_does_not_name_gives_nothing(desk: Desk) -> None:
    """Not even one of a content that is here: the file's own is had by its own address."""
    for digest in ("0" * 64, sha256(fatture.invoice()).hexdigest()):
        assert (await desk.get(f"attachments/{digest}")).status_code == 404
    assert (await desk.get("attachments/..%2fx")).status_code in {400, 404}
    assert (await desk.get("attachments/ABC")).json()["code"] == "bad_parameter"
