"""The horizon: what is older than the retention is collected, and nobody is left with a record that was deleted.

The clock is moved, never the rows.
"""

import json
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from server.app.tidying import Tidying
from server.engine.tidy import BATCH, Tidier
from server.storage.database import DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.support.linked import linked
from tests.support.shop import Shop, Till, product_fields

DAY_MS = 24 * 60 * 60 * 1000
_MARKS = Statement("SELECT seq, nonce FROM marks WHERE tenant_id = :tenant_id ORDER BY seq")
_HORIZON = Statement("SELECT horizon, seq, epoch FROM tenants WHERE tenant_id = :tenant_id")
_PRODUCTS = Statement(
    "SELECT id, seq, name, price, category, tags, clocks, audience, version FROM products WHERE tenant_id = :tenant_id"
)
_MUTATIONS = Statement("SELECT mutation_id FROM mutations WHERE tenant_id = :tenant_id ORDER BY mutation_id")
_CLIENTS = Statement("SELECT last_mutation_id, checkpoint_id, purged_through FROM clients WHERE tenant_id = :tenant_id")
_REFUSED = Statement("SELECT code FROM rejected WHERE tenant_id = :tenant_id")
_KEPT = Statement(
    """SELECT client_id, device_id, mutation_id, body, received_at, resolved_at FROM rejected
       WHERE tenant_id = :tenant_id"""
)
_PUT_ASIDE = Statement("UPDATE rejected SET resolved_at = :at WHERE tenant_id = :tenant_id")
_LEFT = Statement(
    """INSERT INTO departures (tenant_id, seq, collection, record_id, audience, version)
       VALUES (:tenant_id, :seq, 'products', :record_id, 'shop:nord', 2)"""
)
_LOST = Statement(
    """INSERT INTO superseded (tenant_id, uid, field, collection, record_id, value, stamp, author, noted_at)
       VALUES (:tenant_id, :uid, 'name', 'products', :uid, '1', :at, 'a', :at)"""
)
_WAITS = Statement(
    """INSERT INTO waiting (tenant_id, uid, author_id, client_id, device_id, mutation_id, collection, record_id, role,
       audiences, body, correlation_id, place, received_at, resolved_seq) VALUES (:tenant_id, :uid, :uid, :uid, :uid, 1,
       'products', :uid, 'owner', '[]', '{}', 'c', 1, :at, :resolved_seq)"""
)


def _tidier(shop: Shop) -> Tidier:
    return Tidier(shop.database, shop.writer, shop.records, shop.clock, 90 * DAY_MS)


async def _tidy(shop: Shop) -> dict[str, int]:
    return {name: rows for name, rows in (await _tidier(shop).tidy(shop.tenant_id)).items() if rows}


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, {"tenant_id": shop.tenant_id})]

    return await shop.database.read(work)


async def _create(owner: Till, count: int = 1) -> list[str]:
    made = [owner.mutation("products", owner.shop.new_id(), fields=product_fields(category="x")) for _ in range(count)]
    await owner.send(*made)
    return [mutation["record_id"] for mutation in made]


async def _delete(owner: Till, *ids: str) -> None:
    await owner.send(*(owner.mutation("products", record_id, "delete", base_version=1) for record_id in ids))


async def _days(owner: Till, days: int) -> None:
    """Time goes by, and at its end somebody sells: so there is a mark with a date."""
    owner.shop.clock.ms += days * DAY_MS
    await owner.send(owner.sale())


async def test_a_tombstone_is_kept_for_the_retention_and_then_is_a_bare_id(shop: Shop) -> None:
    """No value of it stays, no pull reads it, and its id is taken for good."""
    owner = shop.device("owner")
    (gone,) = await _create(owner)
    await _delete(owner, gone)
    await _days(owner, 1)
    assert await _tidy(shop) == {}
    await _days(owner, 91)
    assert (await _tidy(shop))["products_tombstones"] == 1
    ((record_id, seq, name, price, category, tags, clocks, audience, version),) = await _rows(shop, _PRODUCTS)
    assert (record_id, seq, name, category, tags, clocks) == (gone, 0, "", None, "[]", None)
    assert (audience, version, float(price)) == ("tenant", 2, 0.0)
    assert await shop.device("owner").pull("products") == []
    answer = await owner.send(owner.mutation("products", gone, fields=product_fields()))
    assert answer["verdicts"][0]["status"] == "rejected"
    assert await _tidy(shop) == {}


async def test_who_was_away_too_long_starts_anew_and_keeps_no_deleted_record(shop: Shop) -> None:
    """Behind the horizon is a reset, never a rewind: nobody else is disturbed."""
    owner, away = shop.device("owner"), shop.device("owner")
    gone, stays = await _create(owner, 2)
    async with linked(shop, away.principal, ("products",)) as client:
        await client.drain()
        ((_, _, epoch),) = await _rows(shop, _HORIZON)
        await _delete(owner, gone)
        for _ in range(5):
            await _days(owner, 30)
        await _tidy(shop)
        await client.drain()
        assert set(client.records("products")) == {stays}
        assert [answer["reset"] for answer in client.link.answers] == [False, True]
        ((horizon, _, stays_the_same),) = await _rows(shop, _HORIZON)
        assert (horizon, stays_the_same) == (4, epoch)


async def test_who_was_away_for_less_misses_nothing(shop: Shop) -> None:
    """A reader within the retention is not reset, whatever was collected before its time."""
    owner, reader = shop.device("owner"), shop.device("owner")
    early, late = await _create(owner, 2)
    await _delete(owner, early)
    await _days(owner, 1)
    await _days(owner, 60)
    await reader.pull("products", "sales")
    await _delete(owner, late)
    await _days(owner, 31)
    await _days(owner, 1)
    assert (await _tidy(shop))["products_tombstones"] == 1
    answer = await reader.send(collections=["products", "sales"], cursor=reader.cursor)
    assert answer["reset"] is False
    assert [change["deleted"] for change in answer["changes"]] == [True, False, False]


async def test_a_reader_exactly_at_the_horizon_is_neither_reset_nor_taken_for_a_rewind(shop: Shop) -> None:
    """A shop closed for a season: the first sale after it leaves a mark where the reader stands."""
    owner, reader = shop.device("owner"), shop.device("owner")
    await _delete(owner, *await _create(owner, 3))
    await reader.pull("products", "sales")
    ((_, seq, epoch),) = await _rows(shop, _HORIZON)
    await _days(owner, 1)
    await _days(owner, 92)
    await _tidy(shop)
    ((horizon, _, _),) = await _rows(shop, _HORIZON)
    assert horizon == seq
    answer = await reader.send(collections=["products", "sales"], cursor=reader.cursor)
    assert (answer["reset"], answer["epoch"], len(answer["changes"])) == (False, epoch, 2)


async def test_a_first_round_under_way_is_held_against_its_target(shop: Shop) -> None:
    """Page by page, for months: what it has read may have been deleted and collected since, so it begins again."""
    owner, slow = shop.device("owner"), shop.device("owner")
    gone, *_ = await _create(owner, 4)
    first = await slow.send(collections=["products"], limit=1)
    assert [change["record_id"] for change in first["changes"]] == [gone]
    await _days(owner, 1)
    second = await slow.send(collections=["products"], limit=1, cursor=first["cursor"])
    await _days(owner, 92)
    await _tidy(shop)
    third = await slow.send(collections=["products"], limit=1, cursor=second["cursor"])
    assert third["reset"] is False
    await _delete(owner, gone)
    for _ in range(3):
        await _days(owner, 92)
    await _tidy(shop)
    fourth = await slow.send(collections=["products"], limit=1, cursor=third["cursor"])
    assert fourth["reset"] is True


async def test_marks_are_thinned_and_the_reset_comes_before_their_absence(shop: Shop) -> None:
    """A cursor whose mark is gone is behind the horizon as well, and nothing but that."""
    owner, reader = shop.device("owner"), shop.device("owner")
    await _create(owner)
    await reader.pull("products")
    for _ in range(6):
        await _days(owner, 30)
    before = await _rows(shop, _MARKS)
    await _tidy(shop)
    ((horizon, _, epoch),) = await _rows(shop, _HORIZON)
    kept = await _rows(shop, _MARKS)
    assert [seq for seq, _ in kept] == [seq for seq, _ in before if seq >= horizon - 1]
    answer = await reader.send(collections=["products"], cursor=reader.cursor)
    assert (answer["reset"], answer["epoch"]) == (True, epoch)


async def test_departures_losing_values_and_told_verdicts_go_too(shop: Shop) -> None:
    """What came later than the cutoff stays."""
    owner = shop.device("owner")
    await _create(owner, 2)

    async def job(writing: Writing) -> None:
        named = {"tenant_id": shop.tenant_id, "record_id": shop.new_id(), "at": writing.now}
        for seq in (1, 2, 50):
            await writing.tx.execute(_LEFT, {**named, "seq": seq})
        for resolved in (1, 50):
            await writing.tx.execute(_WAITS, {**named, "uid": shop.new_id(), "resolved_seq": resolved})
        await writing.tx.execute(_LOST, {**named, "uid": shop.new_id()})

    await shop.writer.submit(Job([shop.tenant_id], job))
    await _days(owner, 1)
    await _days(owner, 92)
    assert await _tidy(shop) == {"departures": 2, "marks": 1, "superseded": 1, "waiting": 1}


async def test_what_waits_for_a_record_that_never_comes_ends_after_thirty_days(shop: Shop) -> None:
    """It is refused, and kept with the others that were."""
    owner = shop.device("owner")
    waits = owner.mutation("products", shop.new_id(), "update", base_version=1, fields={"name": "x"})
    assert [verdict["status"] for verdict in (await owner.send(waits))["verdicts"]] == ["waiting"]
    await _days(owner, 29)
    await _tidy(shop)
    assert [code for (code,) in await _rows(shop, _REFUSED)] == []
    await _days(owner, 2)
    await _tidy(shop)
    assert [code for (code,) in await _rows(shop, _REFUSED)] == ["unknown_record"]


async def test_verdicts_are_kept_until_their_checkpoint_is_old(shop: Shop) -> None:
    """A checkpoint is taken, and what it covers goes when it has become older than the retention."""
    owner = shop.device("owner")
    await _create(owner, 3)
    assert await _tidy(shop) == {}
    assert await _rows(shop, _CLIENTS) == [(3, 3, 0)]
    await _days(owner, 91)
    assert await _tidy(shop) == {"mutations": 3}
    assert await _rows(shop, _MUTATIONS) == [(4,)]
    assert await _rows(shop, _CLIENTS) == [(4, 4, 3)]


async def test_a_refused_mutation_that_comes_after_its_verdict_went_holds_up_no_queue(shop: Shop) -> None:
    """Under a new number, from a copied database: it is refused again, kept once, and what follows it is applied."""
    owner, copied = shop.device("owner"), shop.device("owner")
    refused = owner.mutation("sales", shop.new_id(), fields={"x": 1})
    await owner.send(refused)
    put_aside_at = encode_instant(shop.clock.ms)

    async def put_aside(writing: Writing) -> None:
        await writing.tx.execute(_PUT_ASIDE, {"tenant_id": shop.tenant_id, "at": put_aside_at})

    await shop.writer.submit(Job([shop.tenant_id], put_aside))
    for _ in range(3):
        await _days(owner, 91)
        await _tidy(shop)
    assert (1,) not in await _rows(shop, _MUTATIONS)
    copied.last_id = 1
    queue = (refused | {"fields": {"y": 2}}, copied.sale())
    for _ in range(2):
        answer = await copied.send(*queue)
        assert [verdict["status"] for verdict in answer["verdicts"]] == ["rejected", "applied"]
    ((client_id, device_id, mutation_id, body, received_at, resolved_at),) = await _rows(shop, _KEPT)
    assert (client_id, device_id, mutation_id) == (copied.client_id, copied.principal.device_id, 1)
    assert json.loads(body)["fields"] == {"y": 2}
    assert (received_at, resolved_at) == (encode_instant(shop.clock.ms), put_aside_at)


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, 2 * BATCH + 1])
async def test_what_is_collected_goes_in_small_jobs(shop: Shop, count: int) -> None:
    """However much there is, no job takes more than a batch, so that a push in between waits for one of them only."""
    owner = shop.device("owner")
    ids: list[str] = []
    for start in range(0, count, BATCH):
        ids += await _create(owner, min(BATCH, count - start))
    for start in range(0, count, BATCH):
        await _delete(owner, *ids[start : start + BATCH])
    await _days(owner, 1)
    await _days(owner, 92)
    tidier, sizes = _tidier(shop), list[int]()
    reach = await tidier.begin(shop.tenant_id)
    assert (await tidier.counts(reach))["products_tombstones"] == count
    collected = await tidier.collect(reach, sizes.append)
    assert collected == {**collected, "products_tombstones": count, "marks": 1}
    assert sum(sizes) == count + 1
    assert max(sizes) <= BATCH
    assert len(sizes) == -(-count // BATCH) + 1


async def test_nothing_is_collected_in_a_history_that_was_rewound_meanwhile(shop: Shop) -> None:
    """Places of one history mean nothing in another."""
    owner = shop.device("owner")
    (gone,) = await _create(owner)
    await _delete(owner, gone)
    await _days(owner, 1)
    await _days(owner, 92)
    tidier = _tidier(shop)
    reach = await tidier.begin(shop.tenant_id)

    async def job(writing: Writing) -> None:
        writing.tenant(shop.tenant_id).epoch = "another"

    await shop.writer.submit(Job([shop.tenant_id], job))
    assert not any((await tidier.collect(reach)).values())


async def test_a_process_tidies_every_tenant_once_a_day(shop: Shop) -> None:
    """First within an hour of its start, at no certain time."""
    owner = shop.device("owner")
    await shop.admin.add_tenant("Un altro")
    await _delete(owner, *await _create(owner))
    await _days(owner, 1)
    await _days(owner, 92)
    rests: list[float] = []
    rested = anyio.Event()

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) > 1:
            rested.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Tidying(_tidier(shop), shop.admin, lambda: 0.5, sleep).run)
        await rested.wait()
        tasks.cancel_scope.cancel()
    assert rests == [1800, 24 * 3600 - 1800]
    assert await _tidy(shop) == {}
    assert (await _rows(shop, _HORIZON))[0][0] > 0


class _Troubled(Tidier):
    """The first tenant's rows cannot be read; it notes who was tidied after that."""

    def __init__(self, tidied: list[str], error: Exception, *parts: Any) -> None:
        super().__init__(*parts)
        self._error = error
        self._troubled, self._tidied = True, tidied

    async def tidy(self, tenant_id: str) -> dict[str, int]:
        if self._troubled:
            self._troubled = False
            raise self._error
        self._tidied.append(tenant_id)
        return await super().tidy(tenant_id)


@pytest.mark.parametrize(
    ("error", "event"),
    [(DatabaseError("SQLITE_CORRUPT", transient=True), "tidying_put_off"), (KeyError("rows"), "tidying_failed")],
)
async def test_a_tenant_that_cannot_be_tidied_holds_up_no_other(shop: Shop, error: Exception, event: str) -> None:
    """It is told by name, and tried again the next day."""
    ids = [shop.tenant_id, *[await shop.admin.add_tenant(name) for name in ("Un altro", "Un terzo")]]
    tidied: list[str] = []
    tidier = _Troubled(tidied, error, shop.database, shop.writer, shop.records, shop.clock, 90 * DAY_MS)
    with capture_logs() as logs:
        await Tidying(tidier, shop.admin, lambda: 0.5).once()
    (first, *others) = [tenant_id for tenant_id, *_ in await shop.admin.tenants()]
    assert sorted([first, *others]) == sorted(ids)
    assert [(log["event"], log["tenant_id"]) for log in logs] == [(event, first)]
    assert tidied == others
