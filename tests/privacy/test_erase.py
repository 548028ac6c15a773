"""Erasing: no byte of a person is left in any table but what the law keeps, and nothing brings it back."""

import json
from functools import partial
from typing import Any

from anyio import to_thread

from server.app.core import now_ms
from server.engine.tidy import Tidier
from server.outbox.admin import cancel
from server.outbox.listing import Filter, list_deliveries
from server.privacy.ledger import FILE
from server.settings import Settings
from server.storage.writer import Job, Writing
from sync.conflicts import conflict_id
from sync.outcome import WHOLE
from tests.cli.commands import rientro
from tests.privacy.file import NOTE, PERSON, File
from tests.support.shop import sale_fields

_DAY_MS = 24 * 60 * 60 * 1000
HELD = {"customers", "conflicts", "superseded", "rejected"}
NOTED = {"sales", "outbox", "superseded", "rejected", "waiting"}


async def _write(tenant_id: str, writing: Writing) -> None:
    writing.tenant(tenant_id).next_seq()


STAYS = {"sales": 1, "issued_invoices": 0, "invoices": 0, "payments": 0, "subscriptions": 0}


async def test_the_canaries_are_everywhere_before(file: File) -> None:
    """So that the tests below can fail."""
    assert await file.holding(PERSON) == HELD
    assert await file.holding(NOTE) == NOTED


async def test_nothing_of_a_person_is_left_but_what_is_still_to_be_sent(file: File) -> None:
    """At once; and that goes, too, once it is settled."""
    seen = await file.erase(dry_run=True)
    assert await file.holding(PERSON) == HELD
    assert (seen["erased"], seen["stays"], seen["waits"]) == (None, STAYS, {"deliveries": 1})
    assert seen["goes"]["conflicts"] == 1
    done = await file.erase()
    assert await file.holding(PERSON) == set()
    assert await file.holding(NOTE) == {"outbox"}
    assert done["erased"]["left"] == 1
    (waiting,) = await list_deliveries(file.core.database, file.tenant_id, Filter())
    await cancel(file.core.writer, file.tenant_id, waiting.delivery_id)
    assert (await file.core.eraser.go_on(file.tenant_id)).left == 0
    assert await file.holding(PERSON, NOTE) == set()
    assert await file.core.eraser.go_on(file.tenant_id) == (0, 0)


async def test_what_was_refused_without_naming_them_goes_too(file: File) -> None:
    """A decision about their conflict, and a note on a sale of theirs: neither says whose. The export has both."""
    (conflict,) = (await file.sync(collections=["conflicts"]))["changes"]
    decided = {"decision": "value", "value": {"vat_number": f"{PERSON}-DECIDED"}, "nonsense": 1}
    noted = {"note": f"{NOTE}-REFUSED", "total": "99.00"}
    for name, record_id, fields in (("conflicts", conflict["record_id"], decided), ("sales", file.sale, noted)):
        answer = await file.sync(file.mutation(name, record_id, "update", fields=fields))
        assert answer["verdicts"][0]["status"] == "rejected"
    held = await file.call("GET", f"/v1/customers/{file.customer}/export")
    assert len(held.json()["rejected"]) == 4
    await file.erase()
    assert await file.holding(PERSON) == set()
    assert await file.holding(NOTE) == {"outbox"}


async def test_what_arrives_afterwards_is_kept_without_a_word_of_them(file: File) -> None:
    """Refused or waiting, about their conflict or a sale that names them, also a conflict that never was."""
    (conflict,) = (await file.sync(collections=["conflicts"]))["changes"]
    await file.erase()
    never = conflict_id("customers", file.customer, WHOLE)
    decided = {"decision": "value", "value": {"vat_number": f"{PERSON}-LATE"}}
    note: dict[str, Any] = {"customer_id": file.customer, "note": f"{PERSON}-LATE"}
    late = (
        (file.mutation("conflicts", conflict["record_id"], "update", fields={**decided, "nonsense": 1}), "rejected"),
        (file.mutation("conflicts", never, "update", fields=decided), "rejected"),
        (file.mutation("sales", file.new_id(), "create", fields=sale_fields(total="9.99", **note)), "rejected"),
        (file.mutation("sales", file.new_id(), "update", fields=note), "waiting"),
    )
    for mutation, status in late:
        (verdict,) = (await file.sync(mutation))["verdicts"]
        assert (mutation["collection"], verdict["status"]) == (mutation["collection"], status)
        assert await file.holding(PERSON) == set()


async def test_a_tidying_by_hand_finishes_it(file: File, settings: Settings) -> None:
    """And tells how much it emptied, and how much has to wait."""
    await file.erase()
    (waiting,) = await list_deliveries(file.core.database, file.tenant_id, Filter())
    for end, told in ((None, (0, 1)), (cancel, (1, 0))):
        if end is not None:
            await end(file.core.writer, file.tenant_id, waiting.delivery_id)
        command = partial(rientro, settings.data, "tidy", "--json", RIENTRO_DATABASE_URL=settings.database())
        (collected,) = json.loads((await to_thread.run_sync(command)).stdout)
        assert (collected["erased_copies_emptied"], collected["erased_copies_left"]) == told
    assert await file.holding(PERSON, NOTE) == set()


async def test_a_device_that_was_away_hears_of_it_however_late(file: File) -> None:
    """The retention takes other tombstones out of the feed, and never this one."""
    shelf = file.new_id()
    await file.sync(file.mutation("customers", shelf, "create", fields={"name": "Un altro"}))
    await file.sync(file.mutation("customers", shelf, "delete", epoch=file.epoch, base_version=1))
    await file.erase()
    file.core.writer.forget_marks()  # so that the next write marks how far today came
    await file.core.writer.submit(Job([file.tenant_id], partial(_write, file.tenant_id)))
    later = Tidier(file.core.database, file.core.writer, file.core.records, lambda: now_ms() + 1000 * _DAY_MS, _DAY_MS)
    assert (await later.tidy(file.tenant_id))["customers_tombstones"] == 1
    changes = (await file.sync(collections=["customers"]))["changes"]
    assert [(one["record_id"], one.get("erased")) for one in changes] == [(file.customer, True)]


async def test_the_sale_stays_and_names_nobody(file: File) -> None:
    """To the cent, with the number of somebody who is gone."""
    await file.erase()
    (sale,) = (await file.sync(collections=["sales"]))["changes"]
    assert (sale["fields"]["total"], sale["fields"]["customer_id"], sale["fields"]["note"]) == (
        "1.20",
        file.customer,
        None,
    )


async def test_clients_hear_of_it_by_the_feed(file: File) -> None:
    """A tombstone that says so, for the record and for its conflict; digests agree."""
    before = await file.sync(collections=["customers", "conflicts"])
    assert {change["deleted"] for change in before["changes"]} == {False}
    await file.erase()
    after = await file.sync(collections=["customers", "conflicts"], cursor=before["cursor"])
    assert {(one["deleted"], one["erased"], str(one["fields"])) for one in after["changes"]} == {(True, True, "{}")}
    assert {one["record_id"] for one in after["changes"]} == {one["record_id"] for one in before["changes"]}
    assert all(bucket["sum"] == 0 for bucket in after["digest"])


async def test_no_queued_edit_brings_it_back(file: File) -> None:
    """Whatever it is, whoever sends it and when it was made: refused by name, and nothing of it stored."""
    await file.erase()
    ops: tuple[tuple[str, dict[str, str]], ...] = (
        ("update", {"email": PERSON}),
        ("create", {"name": PERSON}),
        ("restore", {}),
        ("delete", {}),
    )
    for op, fields in ops:
        late = file.mutation("customers", file.customer, op, fields=fields, timestamp="2029-01-01T00:00:00.000Z")
        (verdict,) = (await file.sync(late))["verdicts"]
        assert (op, verdict["status"], verdict["code"]) == (op, "rejected", "erased")
    broken = file.mutation("customers", file.customer, "update", fields={"name": 7, "note": PERSON})
    assert (await file.sync(broken))["verdicts"][0]["code"] == "invalid"
    assert await file.holding(PERSON) == set()
    rejected = (await file.call("GET", "/v1/rejected")).json()["rejected"]
    assert {"fields" in one["body"] for one in rejected if one["body"].get("record_id") == file.customer} == {False}


async def test_a_sale_rung_up_for_somebody_erased_is_taken(file: File) -> None:
    """A fact is never refused for what another record says."""
    await file.erase()
    late = file.mutation("sales", file.new_id(), "create", fields=sale_fields(2, customer_id=file.customer))
    (verdict,) = (await file.sync(late))["verdicts"]
    assert verdict["status"] == "applied"


async def test_it_is_noted_who_did_it_and_why(file: File, settings: Settings) -> None:
    """Once, with the ground, and without a word of the person; however often it is asked for."""
    for _ in range(2):
        await file.erase()
    assert (settings.data / FILE).read_text().count(file.customer) == 1
    audit = (await file.call("GET", "/v1/audit?action=customer.erase")).json()["audit"]
    assert [(one["reason"], one["subject_id"]) for one in audit] == [("request", file.customer)]
    assert PERSON not in json.dumps(audit)


async def test_an_export_holds_all_of_it(file: File) -> None:
    """Every canary that any table holds; and after the erasure only what the law keeps."""
    path = f"/v1/customers/{file.customer}/export"
    held = (await file.call("GET", path)).json()
    assert held["record"]["name"].startswith(PERSON)
    assert [len(held[name]) for name in ("conflicts", "rejected", "waiting", "deliveries")] == [1, 2, 1, 1]
    assert {one["field"] for one in held["superseded"]} >= {"name", "note"}
    assert [one["record_id"] for one in held["naming"]["sales"]] == [file.sale]
    await file.erase()
    left = await file.call("GET", path)
    assert left.json()["erased"]
    assert PERSON not in left.text
    assert (await file.call("GET", f"/v1/customers/{file.new_id()}/export")).status_code == 404
