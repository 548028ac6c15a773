"""What was kept is read newest first, page by page, and only by whom it concerns."""

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import pytest

from server.engine.kept import (
    DEVICE_REJECTED,
    RECORD_SUPERSEDED,
    TENANT_REJECTED,
    TENANT_SUPERSEDED,
    Kept,
    Page,
    UnknownRejectionError,
)
from server.engine.newest import Wanted
from server.ports import Principal
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.support.shop import START_MS, TIMESTAMP, Ids, Shop, Till, sale_fields

_LOST = Statement(
    """INSERT INTO superseded (tenant_id, uid, field, collection, record_id, value, stamp, author, noted_at)
       VALUES (:tenant_id, :uid, 'note', 'customers', :uid, :value, :at, 'a', :at)"""
)
NOBODY = "00000000-0000-7000-8000-000000000000"
_SOME = list(islice(iter(Ids(2), ""), 20))


@pytest.fixture
def kept(shop: Shop) -> Kept:
    """The lists of the shop's database."""
    return Kept(shop.database, shop.records)


async def known(shop: Shop, role: str, name: str, place: str = "centro") -> Till:
    """A device that the tenant has registered."""
    made = await shop.admin.add_device(shop.tenant_id, name, role, place)
    return Till(shop, Principal(shop.tenant_id, made.device_id, role, place, frozenset([place])))


async def quarrel(shop: Shop) -> tuple[str, Till, Till]:
    """A customer whose note two devices wrote, one after the other without knowing: its id, the loser, the winner."""
    loser, winner = await known(shop, "clerk", "Tablet"), await known(shop, "owner", "Telefono")
    customer = shop.new_id()
    await winner.send(winner.mutation("customers", customer, fields={"name": "Rossi"}))
    late = "2025-11-24T10:00:05.000Z"
    edit = {"base_version": 1, "timestamp": late, "fields": {"note": "dopo", "phone": "2"}}
    await winner.send(winner.mutation("customers", customer, "update", **edit))
    await loser.send(
        loser.mutation("customers", customer, "update", base_version=1, fields={"note": "prima", "phone": "1"})
    )
    return customer, loser, winner


async def paged(read: Callable[[Wanted], Awaitable[Page[Any]]], limit: int) -> list[Any]:
    """The rows of every page of a list."""
    page = await read(Wanted(limit=limit))
    rows = list(page.rows)
    while page.next is not None:
        page = await read(Wanted(page.next, limit))
        rows += page.rows
    return rows


async def test_what_was_rejected_is_shown_as_it_was_sent(shop: Shop, kept: Kept) -> None:
    """Also what no column and no UTF-8 takes, with the device that sent it and why it was refused."""
    till = await known(shop, "terminal", "Cassa 1")
    bad = till.mutation("sales", shop.new_id(), fields=sale_fields(total=1.5, note="\ud83d \x00", colour=[None]))
    await till.send(bad)
    (row,) = (await kept.rejected(shop.tenant_id, None, Wanted())).rows
    assert row.body == bad
    assert (row.uid, row.client_id, row.device_id) == (bad["uid"], till.client_id, till.principal.device_id)
    assert (row.device_name, row.code, row.resolved_at) == ("Cassa 1", "invalid", None)
    assert await kept.rejection(shop.tenant_id, bad["uid"]) == row


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_pages_of_any_size_give_every_rejection_once_newest_first(shop: Shop, kept: Kept, limit: int) -> None:
    """Those of one instant too: the uid decides between them."""
    one, other = await known(shop, "terminal", "Cassa 1"), await known(shop, "terminal", "Cassa 2")
    for _ in range(3):
        for till in (one, other):
            await till.send(*(till.mutation("nothing", shop.new_id()) for _ in range(2)))
        shop.clock.ms += 1000
    everything = await paged(partial(kept.rejected, shop.tenant_id, None), limit)
    keys = [(row.received_at, row.uid) for row in everything]
    assert (len(keys), keys) == (12, sorted(set(keys), reverse=True))
    own = await paged(partial(kept.rejected, shop.tenant_id, one.principal.device_id), limit)
    assert own == [row for row in everything if row.device_id == one.principal.device_id]


async def test_a_page_is_bounded_by_bytes_and_still_goes_on(shop: Shop, kept: Kept) -> None:
    """What a hostile till fills the list with does not fill the server's memory; one row is always shown."""
    till = await known(shop, "terminal", "Cassa 1")
    for size in (10, 3_000_000, 3_000_000, 10):
        await till.send(till.mutation("nothing", shop.new_id(), fields={"x": "x" * size}))
        shop.clock.ms += 1
    first = await kept.rejected(shop.tenant_id, None, Wanted())
    second = await kept.rejected(shop.tenant_id, None, Wanted(first.next))
    sizes = [[len(row.body["fields"]["x"]) for row in page.rows] for page in (first, second)]
    assert (sizes, second.next) == ([[10, 3_000_000], [3_000_000, 10]], None)


async def test_a_page_of_values_that_lost_is_bounded_by_bytes_not_letters(shop: Shop, kept: Kept) -> None:
    """Of a letter that takes two bytes half as many fit."""
    row = {"tenant_id": shop.tenant_id, "at": encode_instant(shop.clock()), "value": f'"{"è" * 1_500_000}"'}

    async def lose(writing: Writing) -> None:
        for _ in range(3):
            await writing.tx.execute(_LOST, {**row, "uid": shop.new_id()})

    await shop.writer.submit(Job([shop.tenant_id], lose))
    page = await kept.superseded(shop.tenant_id, None, Wanted())
    assert (len(page.rows), page.next is None) == (1, False)


async def test_another_tenants_rejections_do_not_exist(shop: Shop, kept: Kept) -> None:
    """Neither in the list nor by uid."""
    till = shop.device()
    bad = till.mutation("nothing", shop.new_id())
    await till.send(bad)
    assert await kept.rejected(NOBODY, None, Wanted()) == Page([])
    with pytest.raises(UnknownRejectionError):
        await kept.rejection(NOBODY, bad["uid"])


async def test_a_value_that_lost_is_told_with_who_wrote_it_and_when(shop: Shop, kept: Kept) -> None:
    """The device is named, so that somebody can be asked."""
    customer, loser, winner = await quarrel(shop)
    page = await kept.superseded_for(winner.principal, ("customers", customer), Wanted())
    assert [(row.field, row.value) for row in page.rows] == [("phone", "1"), ("note", "prima")]
    row = page.rows[0]
    assert (row.author, row.device_id, row.device_name) == (loser.client_id, loser.principal.device_id, "Tablet")
    assert (row.written_at, row.superseded_at) == ("2025-11-24T10:00:00.000Z", "2025-11-24T16:00:00.000Z")


async def test_what_the_server_wrote_has_no_device(shop: Shop, kept: Kept) -> None:
    """Its author says which part of it, and is not looked for among the clients."""
    customer, _, winner = await quarrel(shop)

    async def work(tx: Tx) -> None:
        statement = Statement("UPDATE superseded SET author = 'system:x' WHERE tenant_id = :tenant_id")
        await tx.execute(statement, (shop.tenant_id,))

    await shop.database.write(work)
    page = await kept.superseded_for(winner.principal, ("customers", customer), Wanted())
    assert {(row.author, row.device_id, row.device_name) for row in page.rows} == {("system:x", None, None)}


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_pages_of_any_size_give_every_superseded_value_once(shop: Shop, kept: Kept, limit: int) -> None:
    """A mutation that loses in several fields is split over pages; a record's list has nothing of another's."""
    (first, *_), (second, *_) = await quarrel(shop), await quarrel(shop)
    everything = await paged(partial(kept.superseded, shop.tenant_id, None), limit)
    keys = [(row.superseded_at, row.uid, row.field) for row in everything]
    assert (len(keys), keys) == (4, sorted(set(keys), reverse=True))
    for record in (first, second):
        read = partial(kept.superseded, shop.tenant_id, ("customers", record))
        assert await paged(read, limit) == [row for row in everything if row.record_id == record]


async def test_only_what_lost_since_an_instant_is_listed(shop: Shop, kept: Kept) -> None:
    """That instant included."""
    await quarrel(shop)
    shop.clock.ms = START_MS + 60_000
    late, *_ = await quarrel(shop)
    page = await kept.superseded(shop.tenant_id, None, Wanted(), since="2025-11-24T16:01:00.000Z")
    assert {row.record_id for row in page.rows} == {late}


async def test_a_record_out_of_scope_answers_exactly_like_an_unknown_one(shop: Shop, kept: Kept) -> None:
    """Another shop's, another tenant's, of no collection, or not there at all: an empty list."""
    till, owner = await known(shop, "terminal", "Cassa"), await known(shop, "owner", "Telefono")
    sale = till.sale()
    await till.send(sale)
    edit = {"base_version": 1, "timestamp": "2025-11-24T10:00:05.000Z"}
    await till.send(till.mutation("sales", sale["record_id"], "update", fields={"note": "dopo"}, **edit))
    await owner.send(owner.mutation("sales", sale["record_id"], "update", base_version=1, fields={"note": "prima"}))
    key = ("sales", sale["record_id"])
    stranger = await known(shop, "clerk", "Banco", "stazione")
    asked = [
        (stranger.principal, key),
        (till.principal._replace(tenant_id=NOBODY), key),
        (till.principal, ("nothing", sale["record_id"])),
        (till.principal, ("sales", NOBODY)),
    ]
    assert [row.value for row in (await kept.superseded_for(till.principal, key, Wanted())).rows] == ["prima"]
    assert [await kept.superseded_for(principal, record, Wanted()) for principal, record in asked] == [Page([])] * 4


@pytest.mark.parametrize("place", ["", "x", "2025-11-24T10:00:00.000Z", f"2025-11-24T10:00:00.000Z_{NOBODY}_note"])
async def test_what_is_no_place_in_the_list_is_refused(shop: Shop, kept: Kept, place: str) -> None:
    """It is not taken for the beginning."""
    with pytest.raises(ValueError, match="no place in the list"):
        await kept.rejected(shop.tenant_id, None, Wanted(place))


async def test_a_page_is_read_by_an_index(shop: Shop) -> None:
    """However long the lists grow: where it ends is found in the index's order, and no row is read for nothing."""
    await shop.database.write(lambda tx: _fill(tx, shop.tenant_id))
    for listed in (TENANT_REJECTED, DEVICE_REJECTED, TENANT_SUPERSEDED, RECORD_SUPERSEDED):
        ends, rows = await _plan(shop, listed.sizes), await _plan(shop, listed.rows)
        assert [word for word in ("sort", "temp b-tree") if word in ends] == [], ends
        assert [word for word in ("filter", "seq scan", "scan k") if word in ends + rows] == [], ends + rows


async def _fill(tx: Tx, tenant_id: str) -> None:
    """Many rows of many devices and records."""
    ids = Ids(3)
    rejected = [(tenant_id, ids(), _SOME[n % 20], _SOME[n % 20], n, encode_instant(START_MS + n)) for n in range(1000)]
    superseded = [(tenant_id, ids(), _SOME[n % 20], TIMESTAMP, encode_instant(START_MS + n)) for n in range(1000)]
    await tx.many(_REJECT, rejected)
    await tx.many(_SUPERSEDE, superseded)
    if tx.dialect == "postgresql":  # which does it by itself, within a minute
        await tx.execute(Statement("ANALYZE rejected, superseded"))


_REJECT = Statement(
    """INSERT INTO rejected (tenant_id, uid, client_id, device_id, mutation_id, received_at, code, message, body,
       correlation_id)
       VALUES (:tenant_id, :uid, :client_id, :device_id, :mutation_id, :received_at, 'x', '', '{}', '')"""
)
_SUPERSEDE = Statement(
    """INSERT INTO superseded (tenant_id, uid, record_id, stamp, noted_at, collection, field, value, author)
       VALUES (:tenant_id, :uid, :record_id, :stamp, :noted_at, 'customers', 'note', 'null', 'x')"""
)


async def _plan(shop: Shop, statement: Statement) -> str:
    first, last = ("2099-01-01T00:00:00.000Z", NOBODY, ""), ("2024-01-01T00:00:00.000Z", NOBODY, "")
    values: dict[str, Any] = {"tenant_id": shop.tenant_id, "collection": "customers", "since": last[0], "most": 10}
    values |= {"device_id": _SOME[0], "record_id": _SOME[0]}
    for edge, (at, uid, field) in (("after", first), ("last", last)):
        values |= {f"{edge}_received_at": at, f"{edge}_noted_at": at, f"{edge}_uid": uid, f"{edge}_field": field}
    explain = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}

    async def work(tx: Tx) -> Sequence[Any]:
        arguments = statement.arguments(tx.dialect, values)
        return await tx.fetch(Statement(explain[tx.dialect] + statement.sql(tx.dialect)), arguments)

    return json.dumps([list(map(str, row)) for row in await shop.database.read(work)]).lower()
