"""Provider `sdi`: a webhook says that a file came, the intermediary hands it over, and its bodies become invoices."""

import json
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from server.inbox.listing import show_event
from server.inbox.store import Receipt
from server.outbound import Outbound, open_outbound
from server.ports import WebhookRefusedError
from server.providers.sdi.adapter import SdiProvider
from server.providers.sdi.fatturapa import parse_file
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
