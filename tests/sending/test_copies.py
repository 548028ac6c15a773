"""What SDI handed over is not lost with the database that took it in."""

from pathlib import Path

import anyio

from server.audit import OPERATOR
from server.inbox.copies import Copies, recall
from server.inbox.store import Incoming
from tests.sending.office import Office
from tests.sending.test_coop_client import pem
from tests.sending.test_coop_messages import SDI, SPEAKING, delivered, opened
from tests.support import fatture


async def test_what_a_restored_database_lacks_is_taken_in_again(office: Office, tmp_path: Path) -> None:
    """Once, byte for byte; what the inbox has is left alone."""
    address, copies = await opened(office), Copies(tmp_path / "second")
    for sdi_id in ("7001", "7002"):
        kept = SPEAKING.hear({"content-type": "text/xml"}, delivered(fatture.lot(1), sdi_id=sdi_id)).kept
        office.copies = copies
        shown = pem(SDI.cert_chain_pems[0])
        await office.receiver.receive("sdicoop", address, {}, kept, "corr", certificate=shown)
    await office.outlet.change_rows("DELETE FROM inbox WHERE tenant_id = :t AND event_id LIKE 'invoice.7002.%'",
                                    office.outlet.tenant_id)  # fmt: skip
    recalled = (office.outlet.writer, copies, office.outlet.tenant_id, office.outlet.new_id, OPERATOR)
    assert [await recall(*recalled), await recall(*recalled)] == [1, 0]
    await office.processor.drain()
    found = await office.outlet.fetch("SELECT sdi_id FROM invoices WHERE tenant_id = :t ORDER BY sdi_id",
                                      office.outlet.tenant_id)  # fmt: skip
    assert [row[0] for row in found] == ["7001", "7002"]


async def test_a_message_told_on_many_connections_at_once_is_one_copy(tmp_path: Path) -> None:
    """None of them fails another; a damaged copy beside it is passed over."""
    copies = Copies(tmp_path)
    told = Incoming("t", "e", "sdicoop", "webhook", "1", "invoice", None, b"b" * 1_000_000, {}, "certificate", "c")
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(copies.keep, told)
    (tmp_path / "t" / "e" / "damaged.json").write_bytes(b"{")
    assert [one.body for one in copies.of("t")] == [told.body]
