"""Sending by an intermediary: the file is handed over once, and what became of it comes by webhook."""

import json
from collections.abc import AsyncIterator

import pytest

from server.outbound import Outbound, open_outbound
from server.providers.sdi.adapter import SdiProvider
from tests.sending.office import Office
from tests.support.intermediary import SECRET, Intermediary, intermediary_process, signed


@pytest.fixture(scope="module")
async def intermediary(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intermediary]:
    """One process for all."""
    async with intermediary_process(tmp_path_factory.mktemp("intermediary")) as process:
        yield process


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """The process's way out."""
    async with open_outbound(allow_loopback=True) as opened:
        yield opened


async def opened(office: Office, intermediary: Intermediary, outbound: Outbound, prefix: str) -> str:
    """An account; its files' names are its own. The address of its webhooks."""
    office.sources = [SdiProvider(outbound, office.outlet.clock)]
    settings = {**intermediary.settings, "scheme": "invoicetronic", "file_prefix": prefix}
    return await office.open("sdi", **settings, secrets=intermediary.secrets)


async def sent(office: Office, outbound: Outbound) -> None:
    """Let what waits go out, also what is looked up later."""
    relay = office.outlet.relay(SdiProvider(outbound, office.outlet.clock))
    for _ in range(3):
        await relay.drain()
        office.outlet.clock.ms += 60_000


async def tell(office: Office, address: str, update_id: int) -> None:
    """The intermediary's webhook about an update."""
    event = {"id": update_id, "endpoint": "update", "method": "POST", "resource_id": update_id, "success": True}
    body = json.dumps(event).encode()
    headers = {name.lower(): value for name, value in signed(body, SECRET, office.outlet.clock() // 1000).items()}
    await office.receiver.receive("sdi", address, headers, body, "corr")
    await office.processor.drain()


async def test_an_invoice_is_sent_discarded_corrected_and_delivered(
    office: Office, intermediary: Intermediary, outbound: Outbound, request: pytest.FixtureRequest
) -> None:
    """Each step is on the record: what the intermediary calls it, SDI's id, its errors, its end."""
    address = await opened(office, intermediary, outbound, "S" if "sqlite" in request.node.name else "P")
    invoice_id = await office.ask()
    await sent(office, outbound)
    first = await office.get(invoice_id)
    assert (first["delivery"], first["sdi_status"]) == ("delivered", None)
    why = [{"code": "00417", "description": "senza identificativo"}]
    await tell(office, address, await intermediary.update(first["file_name"], "Scartato", errors=why))
    discarded = await office.get(invoice_id)
    assert (discarded["sdi_status"], discarded["sdi_errors"]) == ("discarded", why)
    await office.change("issued_invoices", invoice_id, submission=2)
    await sent(office, outbound)
    second = await office.get(invoice_id)
    assert (second["number"], second["delivery"]) == (first["number"], "delivered")
    assert second["reference"] != first["reference"]
    for state in ("Inviato", "Consegnato"):
        await tell(office, address, await intermediary.update(second["file_name"], state))
    final = await office.get(invoice_id)
    assert (final["sdi_status"], final["sdi_errors"]) == ("delivered", [])
    assert final["sdi_id"].isdecimal()


async def test_a_file_whose_answer_was_lost_is_found_and_not_sent_again(
    lite_office: Office, intermediary: Intermediary, outbound: Outbound
) -> None:
    """It was taken, and the connection cut: looked up by its name, after the intermediary had the time to show it."""
    await opened(lite_office, intermediary, outbound, "L")
    await intermediary.behave("take and drop", times=1)
    invoice_id = await lite_office.ask()
    await sent(lite_office, outbound)
    invoice = await lite_office.get(invoice_id)
    assert invoice["delivery"] == "delivered"
    assert invoice["reference"] is not None
    (row,) = await lite_office.outlet.rows()
    assert (row.state, row.attempts) == ("delivered", 2)
