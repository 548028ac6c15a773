"""What SDI says to us: read whichever way it came, kept once, refused only where there is no file in it."""

import base64

import pytest

from server.ports import Account, Received, UnheardError, WebhookRefusedError
from server.providers.sdi.coop.conversation import SdiConversation
from server.providers.sdi.coop.provider import SdiCoopProvider
from server.providers.sdi.coop.soap import Told
from tests.sending.office import Office
from tests.sending.test_coop_client import AUTHORITY, OTHERS, pem
from tests.support import fatture
from tests.support.sdi_desk import ENVELOPE, PRIVATE, PUBLIC, discarded, message, mtom

RECEIVED = "http://www.fatturapa.gov.it/sdi/ws/ricezione/v1.0/types"
SENT = "http://www.fatturapa.gov.it/sdi/ws/trasmissione/v1.0/types"
SDI, NOT_SDI = AUTHORITY.issue_cert("sdi@example.it"), OTHERS.issue_cert("sdi@example.it")
SPEAKING = SdiConversation()


def encoded(content: bytes) -> str:
    """In base64."""
    return base64.b64encode(content).decode()


def envelope(inside: str) -> bytes:
    """A SOAP message."""
    return f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Header/><s:Body>{inside}</s:Body></s:Envelope>'.encode()


def delivered(file: bytes, metadata: bytes = b"<m/>", sdi_id: str = "7001") -> bytes:
    """RiceviFatture, inline."""
    named = f"<IdentificativoSdI>{sdi_id}</IdentificativoSdI><NomeFile>IT01234567890_00001.xml</NomeFile>"
    files = f"<File>{encoded(file)}</File><NomeFileMetadati>IT01234567890_00001_MT_001.xml</NomeFileMetadati>"
    meta = f"<Metadati>{encoded(metadata)}</Metadati>"
    return envelope(f'<t:fileSdIConMetadati xmlns:t="{RECEIVED}">{named}{files}{meta}</t:fileSdIConMetadati>')


def told(element: str, content: bytes, sdi_id: int = 112, file_name: str = "IT01234567890_R0001_RC_001.xml") -> bytes:
    """A receipt's message."""
    named = f"<IdentificativoSdI>{sdi_id}</IdentificativoSdI><NomeFile>{file_name}</NomeFile>"
    return envelope(f'<t:{element} xmlns:t="{SENT}">{named}<File>{encoded(content)}</File></t:{element}>')


def outcome(code: str) -> str:
    """What a public body decided."""
    return f"<EsitoCommittente><Esito>{code}</Esito></EsitoCommittente>"


def heard(body: bytes, content_type: str = "text/xml; charset=utf-8") -> Told:
    """As it is kept."""
    return Told.model_validate_json(SPEAKING.hear({"content-type": content_type}, body).kept)


def test_inline_and_mtom_are_kept_alike() -> None:
    """Byte for byte, binary files with line ends and boundaries' beginnings in them too."""
    file, metadata = b"\x00\r\n--=_\r\n\xff<x/>\n", b"\r\n\r\n<m/>"
    body = delivered(file, metadata)
    apart = mtom(body, file, metadata)
    assert heard(apart[1], apart[0]) == heard(body)
    assert heard(body).content() == file
    assert b"ER01" in SPEAKING.hear({"content-type": "text/xml"}, body).answer


DTD = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "boom">]>' + delivered(b"x")
WRONG: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "text/xml"),
    "no xml": (b"hello", "text/xml"),
    "a doctype": (DTD, "text/xml"),
    "another envelope": (delivered(b"x").replace(b"schemas.xmlsoap.org", b"www.w3.org"), "text/xml"),
    "an empty body": (envelope(""), "text/xml"),
    "another operation": (envelope("<x/>"), "text/xml"),
    "no file": (delivered(b""), "text/xml"),
    "no id": (delivered(b"x", sdi_id="A1"), "text/xml"),
    "no base64": (delivered(b"x").replace(encoded(b"x").encode(), b"*"), "text/xml"),
    "many elements": (envelope("<a/>" * 100), "text/xml"),
    "deep": (envelope("<a>" * 50 + "</a>" * 50), "text/xml"),
    "no boundary": (delivered(b"x"), "multipart/related"),
    "another boundary": (mtom(delivered(b"x"), b"x", b"m")[1], 'multipart/related; boundary="other"'),
    "a part that is missing": (mtom(delivered(b"x"), b"x", b"m")[1].replace(b"<part0@", b"<other@"), mtom(b"")[0]),
    "cut short": (mtom(delivered(b"x"), b"x", b"m")[1][:-12], mtom(b"")[0]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_holds_no_file_gets_a_fault(name: str) -> None:
    """In SOAP, in our own words; nothing is resolved, nothing grows."""
    body, content_type = WRONG[name]
    with pytest.raises(UnheardError) as refused:
        SPEAKING.hear({"content-type": content_type}, body)
    assert b"<faultcode>s:Client</faultcode>" in refused.value.answer
    assert b"boom" not in refused.value.answer


async def opened(office: Office) -> str:
    """An account that trusts SDI's certificate; its address."""
    office.sources = [SdiCoopProvider(None, office.outlet.clock)]  # type: ignore[arg-type]  # it calls nobody
    return await office.open("sdicoop", sdi_certificates=pem(SDI.cert_chain_pems[0]), scheme="sdicoop")


async def say(office: Office, address: str, body: bytes, content_type: str = "text/xml") -> str:
    """A message over a connection of SDI's; what the inbox made of it."""
    kept = SPEAKING.hear({"content-type": content_type}, body).kept
    shown = pem(SDI.cert_chain_pems[0])
    receipt = await office.receiver.receive("sdicoop", address, {}, kept, "corr", certificate=shown)
    return receipt.outcome


async def test_an_invoice_told_again_and_again_is_one(office: Office) -> None:
    """The same message, by the other way, and a later try with other metadata: ER01 each time, and one invoice."""
    address, file = await opened(office), fatture.lot(2)
    assert await say(office, address, delivered(file)) == "stored"
    content_type, apart = mtom(delivered(file), file, b"<m/>")
    assert await say(office, address, apart, content_type) == "rearmed"
    await office.processor.drain()
    assert await say(office, address, delivered(file)) == "duplicate"
    assert await say(office, address, delivered(file, b"<m>2</m>")) == "stored"
    assert await say(office, address, delivered(b"<other/>", b"<m>2</m>")) == "contradicts"
    await office.processor.drain()
    found = await office.outlet.fetch("SELECT sdi_id, position FROM invoices WHERE tenant_id = :t ORDER BY position",
                                      office.outlet.tenant_id)  # fmt: skip
    assert [tuple(row) for row in found] == [("7001", 1), ("7001", 2)]


async def test_a_file_nobody_can_read_is_taken_and_quarantined(lite_office: Office) -> None:
    """SDI has its ER01: what is in a file is no reason to refuse it."""
    address = await opened(lite_office)
    assert await say(lite_office, address, delivered(b"no invoice")) == "stored"
    await lite_office.processor.drain()
    assert [event.state for event in await lite_office.events()] == ["quarantined"]


async def test_only_sdis_own_certificate_is_believed(lite_office: Office) -> None:
    """Another one, none, one out of date: nothing is kept."""
    address = await opened(lite_office)
    kept = SPEAKING.hear({"content-type": "text/xml"}, delivered(fatture.lot(1))).kept
    for shown in (pem(NOT_SDI.cert_chain_pems[0]), "no certificate", None):
        with pytest.raises(WebhookRefusedError):
            await lite_office.receiver.receive("sdicoop", address, {}, kept, "corr", certificate=shown)
    (scheme,) = lite_office.sources[0].webhooks().values()
    account = Account("t", "e", {"sdi_certificates": pem(SDI.cert_chain_pems[0])}, {})
    for now_ms, reason in [(33_000_000_000_000, "stale"), (0, "future")]:
        with pytest.raises(WebhookRefusedError, match=reason):
            scheme.verify(account, Received({}, kept, now_ms, pem(SDI.cert_chain_pems[0])))
    assert await lite_office.events() == []


@pytest.mark.parametrize(
    ("element", "kind", "inside", "family", "status"),
    [
        ("ricevutaConsegna", "RicevutaConsegna", "", PRIVATE, "delivered"),
        ("ricevutaConsegna", "RicevutaConsegna", "", PUBLIC, "delivered"),
        ("notificaScarto", "RicevutaScarto", discarded(), PRIVATE, "discarded"),
        ("notificaScarto", "NotificaScarto", discarded(), PUBLIC, "discarded"),
        ("notificaMancataConsegna", "RicevutaImpossibilitaRecapito", "", PRIVATE, "undelivered"),
        ("notificaMancataConsegna", "NotificaMancataConsegna", "", PUBLIC, "undelivered"),
        ("notificaEsito", "NotificaEsito", outcome("EC01"), PUBLIC, "accepted"),
        ("notificaEsito", "NotificaEsito", outcome("EC02"), PUBLIC, "refused"),
        ("notificaDecorrenzaTermini", "NotificaDecorrenzaTermini", "", PUBLIC, "expired"),
        ("attestazioneTrasmissioneFattura", "AttestazioneTrasmissioneFattura", "", PUBLIC, "attested"),
    ],
)
async def test_every_receipt_of_both_families_moves_its_invoice(
    lite_office: Office, element: str, kind: str, inside: str, family: str, status: str
) -> None:
    """Found by its file's name, also where whoever sent it has signed it; the answer to our call is not needed."""
    address = await opened(lite_office)
    invoice_id = await lite_office.ask()
    content = message(kind, "it01234567890_R0001.xml.p7m", 112, inside, family)
    assert await say(lite_office, address, told(element, content)) == "stored"
    await lite_office.processor.drain()
    invoice = await lite_office.get(invoice_id)
    assert (invoice["sdi_status"], invoice["sdi_id"]) == (status, "112")
    errors = [{"code": "00417", "description": "senza identificativo"}] if status == "discarded" else []
    assert invoice["sdi_errors"] == errors


async def test_a_discarded_invoice_is_corrected_and_sent_under_the_same_number(office: Office) -> None:
    """Another file name, the same number and date; a receipt of the first file that comes late moves nothing."""
    address = await opened(office)
    customer_id = await office.customer()
    invoice_id = await office.ask(customer_id=customer_id)
    first = await office.get(invoice_id)
    discard = message("RicevutaScarto", first["file_name"], 112, discarded())
    await say(office, address, told("notificaScarto", discard))
    await office.processor.drain()
    await office.change("customers", customer_id, vat_number="IT11111111111")
    await office.change("issued_invoices", invoice_id, submission=2)
    second = await office.get(invoice_id)
    assert (second["number"], second["issued_on"]) == (first["number"], first["issued_on"])
    assert (second["file_name"], second["sdi_status"], second["sdi_id"]) == ("IT01234567890_R0002.xml", None, None)
    assert second["buyer"]["vat_number"] == "IT11111111111"
    late = message("NotificaMancataConsegna", first["file_name"], 112, family=PUBLIC)
    await say(office, address, told("notificaMancataConsegna", late))
    await say(office, address, told("notificaScarto", discard.replace(b"4711", b"4712")))  # the same, told anew
    await office.processor.drain()
    assert (await office.get(invoice_id))["sdi_status"] is None
    await say(office, address, told("ricevutaConsegna", message("RicevutaConsegna", second["file_name"], 113), 113))
    await office.processor.drain()
    final = await office.get(invoice_id)
    assert (final["sdi_status"], final["sdi_id"]) == ("delivered", "113")
    assert len(await office.payloads()) == 2


async def test_an_invoice_discarded_after_its_credit_note_went_out_is_corrected(lite_office: Office) -> None:
    """Its sale is voided, and its note stands: alone it would take back VAT that nobody declared."""
    address = await opened(lite_office)
    sale_id = await lite_office.sale()
    invoice_id = await lite_office.ask(sale_id)
    await lite_office.change("sales", sale_id, status="voided")
    discard = message("RicevutaScarto", "IT01234567890_R0001.xml", 112, discarded())
    await say(lite_office, address, told("notificaScarto", discard))
    await lite_office.processor.drain()
    await lite_office.change("issued_invoices", invoice_id, submission=2)
    invoice = await lite_office.get(invoice_id)
    assert (invoice["problems"], invoice["number"], invoice["file_name"][-9:]) == ([], "1", "R0003.xml")


async def test_a_receipt_never_goes_back_and_one_of_nobodys_file_waits(lite_office: Office) -> None:
    """An older one after a newer one is stale; of a file we do not know, a person hears after a day."""
    address = await opened(lite_office)
    invoice_id = await lite_office.ask()
    for element, kind in [
        ("ricevutaConsegna", "RicevutaConsegna"),
        ("notificaMancataConsegna", "NotificaMancataConsegna"),
    ]:
        await say(lite_office, address, told(element, message(kind, "IT01234567890_R0001.xml", 112, family=PUBLIC)))
        await lite_office.processor.drain()
    assert (await lite_office.get(invoice_id))["sdi_status"] == "delivered"
    await say(lite_office, address, told("ricevutaConsegna", message("RicevutaConsegna", "IT99999999999_X.xml", 5), 5))
    await lite_office.processor.drain()
    assert sorted(event.state for event in await lite_office.events()) == ["done", "pending", "stale"]
    assert len(await lite_office.all()) == 1
