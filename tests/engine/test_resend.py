"""What was rejected is sent again, corrected: by a client's rules, once, and marked in the same transaction."""

from collections.abc import Mapping
from typing import Any

import pytest

from server.engine.kept import Kept, Rejected, UnknownRejectionError
from server.engine.newest import Wanted
from server.engine.resend import (
    AlreadyResentError,
    Correction,
    NotCorrectableError,
    Resender,
    Resent,
    StillRejectedError,
    Who,
    parse_correction,
)
from server.ports import Principal
from server.storage.writer import UnknownTenantError
from sync.errors import MalformedError
from tests.support.shop import Shop, Till, product_fields

NOBODY = "00000000-0000-7000-8000-000000000000"
LATER = "2025-11-24T10:00:05.000Z"


class Desk:
    """An owner's desk: tills of the shop, and the list of what was rejected."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.kept = Kept(shop.database, shop.records)
        self.resender = Resender(shop.writer, shop.records.registry, shop.applier)
        self.owner = shop.device("owner", "centro", ("centro", "stazione"))
        self.who = Who(self.owner.principal.device_id, "desk")

    async def till(self, role: str = "terminal", place: str = "centro") -> Till:
        """A device that the tenant has registered."""
        made = await self.shop.admin.add_device(self.shop.tenant_id, role, role, place)
        return Till(self.shop, Principal(self.shop.tenant_id, made.device_id, role, place, frozenset([place])))

    async def refused(self, till: Till, mutation: Mapping[str, Any]) -> str:
        """Push what breaks a rule; its uid."""
        (verdict,) = (await till.send(mutation))["verdicts"]
        assert verdict["status"] == "rejected"
        uid: str = mutation["uid"]
        return uid

    async def resend(self, uid: str, **correction: Any) -> Resent:
        return await self.resender.resend(self.shop.tenant_id, uid, Correction(**correction), self.who)

    async def dismiss(self, uid: str) -> None:
        await self.resender.dismiss(self.shop.tenant_id, uid, self.who)

    async def row(self, uid: str) -> Rejected:
        return await self.kept.rejection(self.shop.tenant_id, uid)

    async def reason(self, uid: str, **correction: Any) -> str:
        """Why a correction is refused; the row is left as it was."""
        before = await self.row(uid)
        with pytest.raises(StillRejectedError) as refused:
            await self.resend(uid, **correction)
        assert await self.row(uid) == before
        reason: str = refused.value.members["reason"]
        return reason

    async def fields(self, collection: str, record_id: str) -> dict[str, Any]:
        """A record as the owner pulls it."""
        await self.owner.pull(collection)
        found: dict[str, Any] = self.owner.received[collection, record_id]["fields"]
        return found


@pytest.fixture
def desk(shop: Shop) -> Desk:
    """The desk of the test's shop."""
    return Desk(shop)


async def test_a_corrected_sale_comes_home_with_its_senders_shop(desk: Desk) -> None:
    """Values are laid over what was sent, the till's shop is filled in, and the change goes on to providers."""
    till = await desk.till(place="stazione")
    sale = till.sale(total="9.99", note="ricontare")
    uid = await desk.refused(till, sale)
    resent = await desk.resend(uid, fields={"total": "1.20"})
    assert (resent.status, resent.duplicate) == ("applied", False)
    fields = await desk.fields("sales", sale["record_id"])
    assert (fields["total"], fields["note"], fields["shop"]) == ("1.20", "ricontare", "stazione")
    assert [change.uid for change in desk.shop.forwarding.seen] == [resent.uid]
    row = await desk.row(uid)
    assert (row.resolved_by, row.resolved_as) == (desk.who.device_id, resent.uid)
    assert (row.resolved_at, row.body["fields"]["total"]) == ("2025-11-24T16:00:00.000Z", "9.99")


async def test_the_same_correction_sent_twice_applies_once(desk: Desk) -> None:
    """However its members are ordered."""
    clerk = await desk.till("clerk")
    product = clerk.mutation("products", desk.shop.new_id(), fields=product_fields())
    await clerk.send(product)
    wrong = {"fields": {"colour": 1}, "increments": {"stock": "5"}, "adds": {"tags": ["bar"]}}
    uid = await desk.refused(clerk, clerk.mutation("products", product["record_id"], "update", **wrong))
    first = await desk.resend(uid, drop=["colour"], fields={"category": "Bar", "active": False})
    again = await desk.resend(uid, fields={"active": False, "category": "Bar"}, drop=["colour"])
    assert (again.uid, again.status, again.duplicate) == (first.uid, first.status, True)
    fields = await desk.fields("products", product["record_id"])
    assert (fields["stock"], fields["tags"], fields["category"]) == ("5.000", ["bar"], "Bar")


async def test_every_part_of_a_mutation_can_be_corrected(desk: Desk) -> None:
    """Fields, increments, and tags both ways."""
    clerk = await desk.till("clerk")
    product = clerk.mutation("products", desk.shop.new_id(), fields=product_fields(), adds={"tags": ["bar", "old"]})
    await clerk.send(product)
    wrong = {"base_version": 1, "fields": {"name": ""}, "increments": {"stock": "x"}, "adds": {"tags": 1}}
    uid = await desk.refused(clerk, clerk.mutation("products", product["record_id"], "update", **wrong))
    correction = {"fields": {"name": "tè"}, "increments": {"stock": "1.5"}, "adds": {"tags": ["new"]}}
    await desk.resend(uid, **correction, removes={"tags": ["old"]})
    fields = await desk.fields("products", product["record_id"])
    assert (fields["name"], fields["stock"], sorted(fields["tags"])) == ("tè", "1.500", ["bar", "new"])


async def test_what_was_accepted_is_not_corrected_otherwise(desk: Desk) -> None:
    """What is still wrong is then a change to the record; nor is it put aside."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale(total="9.99"))
    await desk.resend(uid, fields={"total": "1.20"})
    with pytest.raises(AlreadyResentError):
        await desk.resend(uid, fields={"total": "1.20", "note": "x"})
    with pytest.raises(AlreadyResentError):
        await desk.dismiss(uid)


async def test_what_is_refused_again_says_why_and_stays(desk: Desk) -> None:
    """A value, a missing one, and a rule over several each have their own reason."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale(total="9.99"))
    assert await desk.reason(uid) == "rule_broken"
    assert await desk.reason(uid, fields={"total": "1.001"}) == "invalid"
    assert await desk.reason(uid, drop=["total"]) == "missing_field"
    assert await desk.owner.pull("sales") == []


async def test_a_refused_correction_is_taken_once_its_reason_is_gone(desk: Desk) -> None:
    """A refusal is not remembered: the very same correction may be sent again."""
    clerk = await desk.till("clerk")
    product = desk.shop.new_id()
    uid = await desk.refused(clerk, clerk.mutation("products", product, "update", fields={"colour": "x"}))
    assert await desk.reason(uid, drop=["colour"], fields={"name": "tè"}) == "unknown_record"
    await clerk.send(clerk.mutation("products", product, fields=product_fields()))
    assert (await desk.resend(uid, drop=["colour"], fields={"name": "tè"})).duplicate is False


async def test_a_clients_rules_hold_also_for_a_correction(desk: Desk) -> None:
    """What only the server writes is refused; what a till may not do, an owner may; what nobody may, nobody may."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale(forward_status="delivered"))
    assert await desk.reason(uid) == "server_owned"
    await desk.resend(uid, drop=["forward_status"])
    uid = await desk.refused(till, till.mutation("products", desk.shop.new_id(), fields=product_fields()))
    assert (await desk.resend(uid)).status == "applied"
    uid = await desk.refused(till, till.mutation("invoices", desk.shop.new_id()))
    assert await desk.reason(uid) == "forbidden"
    uid = await desk.refused(till, till.sale(shop="altrove"))
    assert await desk.reason(uid) == "out_of_scope"


async def test_what_one_client_did_offline_is_still_a_chain(desk: Desk) -> None:
    """Sent again one after the other, its mutations have seen each other, and another client's have not."""
    one, two = await desk.till("clerk"), await desk.till("clerk")
    customer = desk.shop.new_id()
    wrong = {"colour": 1}
    created = await desk.refused(
        one, one.mutation("customers", customer, timestamp=LATER, fields={"name": "A"} | wrong)
    )
    edited = await desk.refused(one, one.mutation("customers", customer, "update", fields={"name": "B"} | wrong))
    other = await desk.refused(two, two.mutation("customers", customer, "update", fields={"name": "C"} | wrong))
    for uid in (created, edited, other):
        await desk.resend(uid, drop=["colour"])
    again = await desk.resend(other, drop=["colour"])
    assert (again.status, again.duplicate) == ("merged", True)
    assert (await desk.fields("customers", customer))["name"] == "B"
    page = await desk.kept.superseded_for(desk.owner.principal, ("customers", customer), Wanted())
    assert [(row.value, row.author) for row in page.rows] == [("C", f"system:resend:{two.client_id}")]


@pytest.mark.parametrize(
    "broken",
    [{"collection": "nothing"}, {"collection": 7}, {"record_id": "x"}, {"op": "burn"}, {"timestamp": "yesterday"}],
    ids=["unknown collection", "no collection", "no record id", "no operation", "no time"],
)
async def test_what_is_no_mutation_cannot_be_corrected(desk: Desk, broken: dict[str, Any]) -> None:
    """It is said plainly, and it can be put aside."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale() | broken)
    with pytest.raises(NotCorrectableError, match="it can be put aside"):
        await desk.resend(uid, fields={"total": "1.20"})
    await desk.dismiss(uid)
    assert (await desk.row(uid)).resolved_at is not None


async def test_what_was_put_aside_can_still_be_sent_again(desk: Desk) -> None:
    """Somebody may have pressed the wrong button; putting aside twice keeps the first time."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale(total="9.99"))
    await desk.dismiss(uid)
    before = await desk.row(uid)
    assert (before.resolved_by, before.resolved_as) == (desk.who.device_id, None)
    desk.shop.clock.ms += 1000
    await desk.dismiss(uid)
    assert await desk.row(uid) == before
    resent = await desk.resend(uid, fields={"total": "1.20"})
    assert (await desk.row(uid)).resolved_as == resent.uid


async def test_another_tenants_rejections_cannot_be_touched(desk: Desk) -> None:
    """They do not exist."""
    till = await desk.till()
    uid = await desk.refused(till, till.sale(total="9.99"))
    stranger = await desk.shop.admin.add_tenant("Altro")
    for act in (
        desk.resender.resend(stranger, uid, Correction(), desk.who),
        desk.resender.dismiss(stranger, uid, desk.who),
        desk.resender.resend(desk.shop.tenant_id, NOBODY, Correction(), desk.who),
    ):
        with pytest.raises(UnknownRejectionError):
            await act
    with pytest.raises(UnknownTenantError):
        await desk.resender.dismiss(NOBODY, uid, desk.who)
    assert (await desk.row(uid)).resolved_at is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"fields": 1}', b'{"colour": {}}', b'{"increments": {"stock": 5}}', b'{"fields": {"note": NaN}}'],
)
def test_what_is_no_correction_is_refused(body: bytes) -> None:
    """Without a word of what it said."""
    with pytest.raises(MalformedError, match="no correction") as refused:
        parse_correction(body)
    assert "colour" not in str(refused.value)
