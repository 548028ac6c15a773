"""Provider `sdi`: a webhook says that a file came, the intermediary hands it over, and its bodies become invoices."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.collections import registry
from server.inbox.listing import show_event
from server.inbox.store import Receipt
from server.outbound import Outbound, open_outbound
from server.ports import Account, Draft, Received, UnusableEventError, WebhookRefusedError
from server.providers.sdi.adapter import SdiProvider, SdiSettings
from server.providers.sdi.fatturapa import parse_file
from server.providers.sdi.invoicetronic import InvoicetronicScheme, parse_told
from server.providers.sdi.mapping import invoice_drafts
from server.providers.sdi.model import UnreadableInvoiceError
from sync.protocol import Unusable
from tests.inbox.conftest import logs as _logs
from tests.inbox.mailroom import Mailroom, open_mailroom
from tests.support import fatture
from tests.support.fatture import Fattura, Intestazione, Riepilogo, Riga
from tests.support.intermediary import SECRET, Intermediary, intermediary_process, signed
from tests.support.shop import TIMESTAMP

logs = _logs


@pytest.fixture(scope="module")
async def intermediary(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intermediary]:
    """One process for all; ids are never used twice."""
    async with intermediary_process(tmp_path_factory.mktemp("intermediary")) as process:
        yield process


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """What the provider fetches with."""
    async with open_outbound(allow_loopback=True) as opened:
        yield opened


@pytest.fixture
async def room(request: pytest.FixtureRequest, outbound: Outbound) -> AsyncIterator[Mailroom]:
    """A shop that receives invoices; on SQLite, unless a test asks for both databases."""
    url = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    async with open_mailroom(url, SdiProvider(outbound, lambda: 0)) as opened:
        yield opened


on_both_databases = pytest.mark.parametrize("room", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def address(room: Mailroom, intermediary: Intermediary) -> AsyncIterator[str]:
    """Where the intermediary tells the shop; it behaves well again in the end."""
    settings = {**intermediary.settings, "scheme": "invoicetronic"}
    yield await room.add("sdi", settings, intermediary.secrets)
    await intermediary.behave("well")


async def tell(room: Mailroom, address: str, resource: int, event_id: int = 1, **more: Any) -> Receipt:
    """A webhook about a file, signed by the clock of the shop."""
    event = {"id": event_id, "endpoint": "receive", "method": "POST", "resource_id": resource, "success": True, **more}
    body = json.dumps(event).encode()
    signature = signed(body, SECRET, room.shop.clock() // 1000)
    headers = {name.lower(): value for name, value in signature.items()}
    return await room.receiver.receive("sdi", address, headers, body, f"corr-{event_id}")


@on_both_databases
async def test_a_lot_of_three_told_twice_is_three_invoices(
    room: Mailroom, address: str, intermediary: Intermediary
) -> None:
    """Once each on the owner's phone, whether the same event came twice or two events tell of one file."""
    resource = await intermediary.add(fatture.lot(3), "7001")
    assert (await tell(room, address, resource, 1)).outcome == "stored"
    assert (await tell(room, address, resource, 1)).outcome == "rearmed"
    assert (await tell(room, address, resource, 2)).outcome == "stored"
    await room.processor().drain()
    assert (await tell(room, address, resource, 1)).outcome == "duplicate"
    await room.processor().drain()
    assert await room.states() == {"done": 2}
    invoices = sorted(await room.records("invoices"), key=lambda fields: fields["position"])
    assert [(fields["sdi_id"], fields["position"], fields["number"], fields["total"]) for fields in invoices] == [
        ("7001", 1, "1", "1.00"),
        ("7001", 2, "2", "2.00"),
        ("7001", 3, "3", "3.00"),
    ]
    for fields in invoices:
        assert fields["received_at"] == TIMESTAMP[:10] + "T16:00:00.000Z"
        assert (fields["total_derived"], fields["read"], fields["currency"]) == (True, False, "EUR")
    assert len(await intermediary.calls(f"/v1/receive/{resource}")) == 2
    (first, *_) = await room.events()
    shown = await show_event(room.shop.database, room.shop.tenant_id, first.receipt_id)
    assert (shown.fetched, len(shown.records)) == (fatture.lot(3), 3)
    assert shown.facts["identifier"] == "7001"


async def test_a_read_mark_survives_the_file_told_again(
    room: Mailroom, address: str, intermediary: Intermediary
) -> None:
    """What a person did is not undone by news that is none."""
    resource = await intermediary.add(fatture.invoice(), "7002")
    await tell(room, address, resource, 1)
    await room.processor().drain()
    await room.owner.pull("invoices")
    ((_, record_id),) = [key for key in room.owner.received if key[0] == "invoices"]
    await room.owner.send(room.owner.mutation("invoices", record_id, "update", base_version=1, fields={"read": True}))
    await tell(room, address, resource, 2)
    await room.processor().drain()
    (fields,) = await room.records("invoices")
    assert fields["read"] is True


async def test_an_intermediary_that_is_down_costs_time_and_no_invoice(
    tmp_path: Path, sqlite_url: str, outbound: Outbound
) -> None:
    """Killed, it is not there at all; started again, everything that was told is fetched."""
    async with (
        intermediary_process(tmp_path) as own,
        open_mailroom(sqlite_url, SdiProvider(outbound, lambda: 0)) as room,
    ):
        address = await room.add("sdi", {**own.settings, "scheme": "invoicetronic"}, own.secrets)
        files = [await own.add(fatture.invoice(Fattura(number=str(n))), f"80{n}") for n in range(3)]
        own.process.kill()
        for number, resource in enumerate(files):
            await tell(room, address, resource, number)
        await room.processor().drain()
        assert [(event.state, event.error) for event in await room.events()] == [("pending", "connect_failed")] * 3
        await own.process.start()
        await room.pass_time(60)
        await room.processor().drain()
        assert await room.states() == {"done": 3}
        assert sorted(fields["number"] for fields in await room.records("invoices")) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"do": "status", "status": 503}, "server_error"),
        ({"do": "status", "status": 429, "headers": {"retry-after": "30"}}, "throttled"),
        ({"do": "drop"}, "answer_lost"),
        ({"do": "slow", "seconds": 1}, "deadline"),
    ],
)
async def test_an_intermediary_that_misbehaves_is_asked_again(
    room: Mailroom, address: str, intermediary: Intermediary, behaviour: dict[str, Any], code: str
) -> None:
    """Later, and in the end the invoice is here once."""
    resource = await intermediary.add(fatture.invoice(), "7003")
    await tell(room, address, resource)
    await intermediary.behave(**behaviour)
    await room.processor(deadline_s=0.5).drain()
    event = await room.event()
    assert (event.state, event.error) == ("pending", code)
    await intermediary.behave("well")
    await room.pass_time(60)
    await room.processor().drain()
    assert await room.states() == {"done": 1}
    assert len(await room.records("invoices")) == 1


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"<html><body>Errore 500</body></html>", "no_root"),
        (fatture.invoice()[:-40], "truncated"),
        (b"\x30\x80garbage", "bad_p7m"),
        (b"", "no_payload"),
    ],
)
async def test_a_file_that_cannot_be_read_is_quarantined_with_its_reason_and_kept(
    room: Mailroom, address: str, intermediary: Intermediary, file: bytes, code: str
) -> None:
    """Raw, for a person; what the intermediary has not got is asked for again."""
    resource = await intermediary.add(file, "7004")
    receipt = await tell(room, address, resource)
    await room.processor().drain()
    shown = await show_event(room.shop.database, room.shop.tenant_id, receipt.receipt_id)
    assert shown.event.error == code
    assert shown.event.state == ("pending" if code == "no_payload" else "quarantined")
    if code != "no_payload":
        assert shown.fetched == file
        assert shown.event.reason
    assert await room.records("invoices") == []


@on_both_databases
async def test_the_bodies_of_a_lot_that_can_be_read_are_taken_in(
    room: Mailroom, address: str, intermediary: Intermediary
) -> None:
    """The others are told of, and the event waits for a person."""
    bad_total = Fattura(number="2", total="1,50")
    too_large = Fattura(number="3", summaries=(Riepilogo(taxable="99999999.99", tax="0.001"),), total="1.00")
    no_total = Fattura(number="4", summaries=())
    file = fatture.invoice(Fattura(number="1"), bad_total, too_large, no_total, Fattura(number="5"))
    await tell(room, address, await intermediary.add(file, "7005"))
    await room.processor().drain()
    event = await room.event()
    assert event.state == "quarantined"
    assert event.reason is not None
    for said in ("Body 2", "fields.summaries.0.tax", "Body 4"):
        assert said in event.reason
    assert sorted(fields["number"] for fields in await room.records("invoices")) == ["1", "5"]


async def test_signed_files_and_odd_encodings_come_through(
    room: Mailroom, address: str, intermediary: Intermediary
) -> None:
    """A p7m in base64; and XML that the intermediary hands over as text, accents and all."""
    name = "Caffè dell'Orso S.r.l."
    latin = fatture.invoice(
        header=Intestazione(supplier=name, customer="Bar Ai Tigli"), root=fatture.Involucro(encoding="ISO-8859-1")
    )
    p7m = await intermediary.add(fatture.signed(fatture.invoice()), "7006", file_name="IT01234567890_00001.xml.p7m")
    text = await intermediary.add(b"", "7007", payload=latin.decode("iso-8859-1"), encoding="Xml")
    await tell(room, address, p7m, 1)
    await tell(room, address, text, 2)
    await room.processor().drain()
    assert await room.states() == {"done": 2}
    by_id = {fields["sdi_id"]: fields for fields in await room.records("invoices")}
    assert by_id["7007"]["supplier_name"] == name
    assert by_id["7007"]["file_sha256"] == parse_file(latin).sha256
    assert by_id["7006"]["file_sha256"] == parse_file(fatture.invoice()).sha256


@on_both_databases
async def test_a_file_without_an_sdi_id_is_known_by_its_content(
    room: Mailroom, address: str, intermediary: Intermediary
) -> None:
    """Told again with its id, it is the same invoice, which now has it."""
    without = await intermediary.add(fatture.lot(2))
    await tell(room, address, without, 1)
    await room.processor().drain()
    assert [fields["sdi_id"] for fields in await room.records("invoices")] == [None, None]
    await tell(room, address, await intermediary.add(fatture.lot(2), "7008"), 2)
    await room.processor().drain()
    assert [fields["sdi_id"] for fields in await room.records("invoices")] == ["7008", "7008"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"endpoint": "send"}, "it does not tell of an invoice received"),
        ({"endpoint": "received_notification"}, "it does not tell of an invoice received"),
        ({"success": False}, "it does not tell of an invoice received"),
        ({"method": "DELETE"}, "it does not tell of an invoice received"),
        ({"company_id": 43}, "it is another company's of the same account"),
    ],
)
async def test_what_is_no_business_of_ours_is_ignored_and_costs_no_fetch(
    room: Mailroom, address: str, intermediary: Intermediary, event: dict[str, Any], reason: str
) -> None:
    """But it is seen."""
    await room.execute(
        "UPDATE endpoints SET settings = :settings", json.dumps({**intermediary.settings, "company_id": 42})
    )
    before = len(await intermediary.calls())
    await tell(room, address, await intermediary.add(fatture.invoice(), "7009"), **event)
    await room.processor().drain()
    assert ((await room.event()).state, (await room.event()).reason) == ("ignored", reason)
    assert len(await intermediary.calls()) == before


@pytest.mark.parametrize(
    "event",
    [
        {"endpoint": "receive/{id}", "resource_id": None},
        {"endpoint": "/v1/receive"},
        {"endpoint": "api/v1/receive/{id}"},
        {"endpoint": "", "event": "receive.add"},
        {"Endpoint": "receive", "endpoint": "receive"},
    ],
)
async def test_events_are_understood_as_they_come_in_the_field(
    room: Mailroom, address: str, intermediary: Intermediary, event: dict[str, Any]
) -> None:
    """Not only as the documentation has them."""
    resource = await intermediary.add(fatture.invoice(), "7010")
    told: Any = {name: value.format(id=resource) if isinstance(value, str) else value for name, value in event.items()}
    await tell(room, address, resource, **told)
    await room.processor().drain()
    assert await room.states() == {"done": 1}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"endpoint": "receive"}', b'{"id": 1, "endpoint": "receive"}', b"\xff"]
)
async def test_an_authentic_event_nobody_understands_is_quarantined(room: Mailroom, address: str, body: bytes) -> None:
    """And never passed over: it may be an invoice."""
    headers = {"invoicetronic-signature": signed(body, SECRET, room.shop.clock() // 1000)["Invoicetronic-Signature"]}
    await room.receiver.receive("sdi", address, headers, body, "corr")
    assert (await room.receiver.receive("sdi", address, headers, body, "corr")).outcome == "rearmed"
    await room.processor().drain()
    assert (await room.event()).state == "quarantined"
    assert (await room.event()).error in {"malformed", "no_resource"}


def account(**secrets: str) -> Account:
    """An endpoint."""
    return Account("t", "e", {}, {"webhook_secret": SECRET, **secrets})


@pytest.fixture(scope="module")
def scheme() -> Iterator[InvoicetronicScheme]:
    """The scheme alone; it asks nobody to verify."""
    yield InvoicetronicScheme(None)  # type: ignore[arg-type]  # noqa: PT022


BODY = b'{"id": 5, "endpoint": "receive", "resource_id": 7, "method": "POST"}'
NOW_S = 1_764_000_000


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "unsigned"),
        ("t=1", "unsigned"),
        (f"t={NOW_S}", "unsigned"),
        (f"t={NOW_S},v1=zz", "unsigned"),
        (f"t={NOW_S},v1={'a' * 64}", "bad_signature"),
        (f"t=-1,v1={'a' * 64}", "unsigned"),
        (signed(BODY, "somebody-elses-secret", NOW_S)["Invoicetronic-Signature"], "bad_signature"),
        (signed(BODY, SECRET, NOW_S - 301)["Invoicetronic-Signature"], "stale"),
        (signed(BODY, SECRET, NOW_S + 301)["Invoicetronic-Signature"], "future"),
        (signed(BODY + b" ", SECRET, NOW_S)["Invoicetronic-Signature"], "bad_signature"),
    ],
)
def test_a_signature_that_is_not_the_intermediarys_is_refused(
    scheme: InvoicetronicScheme, header: str, reason: str
) -> None:
    """Also one that was, at another time."""
    with pytest.raises(WebhookRefusedError) as raised:
        scheme.verify(account(), Received({"invoicetronic-signature": header}, BODY, NOW_S * 1000))
    assert raised.value.reason == reason


def test_two_secrets_are_live_during_a_rotation(scheme: InvoicetronicScheme) -> None:
    """And a header may carry the signatures of both."""
    header = signed(BODY, SECRET, NOW_S)["Invoicetronic-Signature"]
    received = Received(
        {"invoicetronic-signature": f"t={NOW_S},v1={'a' * 64}, {header.split(',')[1]}"}, BODY, NOW_S * 1000
    )
    assert scheme.verify(account(), received).verified_by == "webhook_secret"
    rotated = account(webhook_secret="the-new-one-of-two", previous_webhook_secret=SECRET)
    recognised = scheme.verify(rotated, received)
    assert recognised == ("5", "receive.post", "receive/7", "previous_webhook_secret")


def drafts(file: bytes, sdi_id: str | None = "9") -> list[Draft]:
    """The drafts of a file."""
    return [one for one in invoice_drafts(parse_file(file), sdi_id, TIMESTAMP) if isinstance(one, Draft)]


def test_a_credit_note_is_negative() -> None:
    """Total, payable and sums by rate; the lines are the file's own digits."""
    (draft,) = drafts(fatture.credit_note())
    assert (draft.fields["total"], draft.fields["payable"]) == ("-122.00", "-122.00")
    assert [(one["taxable"], one["tax"]) for one in draft.fields["summaries"]] == [("-100.00", "-22.00")]
    assert draft.fields["lines"][0]["total"] == "100.00"


def every_file() -> list[bytes]:
    """Files of our own, and those of the folder that RIENTRO_SDI_SAMPLES names, where it names one."""
    folder = os.environ.get("RIENTRO_SDI_SAMPLES")
    found = sorted(Path(folder).rglob("*")) if folder is not None else []
    samples = [path.read_bytes() for path in found if path.suffix.lower() in {".xml", ".p7m"}]
    return [fatture.credit_note(), fatture.split_payment(), *samples]


def test_every_file_that_can_be_read_makes_records_the_wire_takes() -> None:
    """As strictly as a client's."""
    known, taken, record_id = registry(), 0, "0192f0c1-0000-7000-8000-000000000001"
    mutation = {"mutation_id": 1, "uid": record_id, "op": "create", "record_id": record_id, "timestamp": TIMESTAMP}
    for place, file in enumerate(every_file()):
        with suppress(UnreadableInvoiceError):
            for draft in drafts(file):
                told = {"collection": draft.collection, "fields": {**draft.fields, **draft.once}}
                assert not isinstance(known.parse_mutation(mutation | told), Unusable), place
                taken += 1
    assert taken >= 2


def test_split_payment_is_payable_without_vat() -> None:
    """The State gets the rest."""
    (draft,) = drafts(fatture.split_payment())
    assert (draft.fields["total"], draft.fields["payable"]) == ("122.00", "100.00")


def test_lines_keep_the_files_digits_and_sums_lose_no_fraction() -> None:
    """Eight decimals stay eight; an amount with a fraction of a cent is not rounded but refused later."""
    line = Riga(unit_price="0.12345678", quantity="3.000", total="0.37037034", rate="22.00")
    summary = Riepilogo(taxable="100.000", tax="22.005")
    (draft,) = drafts(fatture.invoice(Fattura(lines=(line,), summaries=(summary,), total="122.00")))
    assert draft.fields["lines"][0]["unit_price"] == "0.12345678"
    assert draft.fields["summaries"][0] == {"rate": "22.00", "taxable": "100.00", "tax": "22.005", "nature": None}


def test_a_simplified_invoice_has_what_it_has() -> None:
    """No unit price is made up, no name invented."""
    (draft,) = drafts(fatture.simplified())
    assert (draft.fields["total"], draft.fields["document_type"]) == ("61.00", "TD07")
    assert (draft.fields["supplier_name"], draft.fields["lines"][0]["unit_price"]) == ("Ada Ferri", "")


def test_keys_follow_from_sdi_id_and_position() -> None:
    """Or, without an id, from the content."""
    file = parse_file(fatture.lot(2))
    assert [draft.key for draft in drafts(fatture.lot(2), "77")] == ["sdi:77:1", "sdi:77:2"]
    assert [draft.weak_key for draft in drafts(fatture.lot(2), "77")] == [f"sha256:{file.sha256}:{n}" for n in (1, 2)]
    assert [(draft.key, draft.weak_key) for draft in drafts(fatture.lot(1), None)] == [
        (f"sha256:{parse_file(fatture.lot(1)).sha256}:1", None)
    ]
    with pytest.raises(UnusableEventError):
        drafts(fatture.lot(1), "7 7")


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "k", "webhook_secret": "short"},
        {"api_key": "k", "webhook_secret": SECRET, "poll_every_s": "5"},
        {"api_key": "k", "webhook_secret": SECRET, "company_id": "IT1"},
        {"webhook_secret": SECRET},
    ],
)
def test_settings_that_cannot_work_are_refused_without_being_quoted(settings: dict[str, str]) -> None:
    """Before anything is stored."""
    with pytest.raises(ValidationError) as raised:
        SdiSettings.model_validate(settings)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "body", [b"null", b"1", b'"x"', b"{}", b'{"id": {}}', b"[" * 100_000, b'{"id": "' + b"x" * 200 + b'"}']
)
def test_any_body_is_understood_or_not(body: bytes) -> None:
    """Never an error."""
    assert parse_told(body) is None


async def test_nothing_personal_is_logged(
    room: Mailroom, address: str, intermediary: Intermediary, logs: StringIO
) -> None:
    """Neither who issued it, nor a secret, nor a line of the file, on any way it can take."""
    canary = "Canarino Giallo di Ponte"
    good = fatture.invoice(Fattura(lines=(Riga(description=f"{canary} riga"),)), header=Intestazione(supplier=canary))
    await tell(room, address, await intermediary.add(good, "7011"), 1)
    await tell(room, address, await intermediary.add(good[:-60], "7012"), 2)
    await tell(room, address, 1, 3)
    await intermediary.behave("drop", times=1)
    await room.processor().drain()
    with pytest.raises(WebhookRefusedError):
        await room.receiver.receive("sdi", address, {"invoicetronic-signature": f"t=1,v1={canary}"}, good, "corr")
    written = logs.getvalue()
    assert written.count("event_processed") == 3
    for secret in ("Canarino", SECRET, intermediary.secrets["api_key"], "00743110157"):
        assert secret not in written
