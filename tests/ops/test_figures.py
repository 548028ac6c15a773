"""What a scrape reads: cheap however much waits, remembered for a moment, and honest while the database is away."""

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from server.ops import accounts
from server.ops.accounts import Account, all_accounts
from server.ops.exposition import expose
from server.ops.figures import REMEMBER_MS, Watch
from server.ops.integrations import Status, age_s, status_of
from server.outbox.draft import COLUMNS, INSERT
from server.ports import Answer
from server.resilience.contacts import Contacts
from server.storage.database import Tx
from server.storage.sqlite import SqliteDatabase
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import decode_instant, encode_instant
from tests.outbox.outlet import Outlet, Scripted, open_outlet

DOWN_AFTER_MS = 15 * 60_000
_DATED = Statement(
    """INSERT INTO secret_dates (tenant_id, endpoint_id, name, set_at, replace_by, expires_at)
       VALUES (:tenant_id, :endpoint_id, :name, :set_at, :replace_by, :expires_at)"""
)
_LOST = Statement(
    """INSERT INTO tokens (tenant_id, endpoint_id, sealed, expires_at, refresh_at, fence, in_doubt, lost, failures,
         stored_at)
       VALUES (:tenant_id, :endpoint_id, '', :expires_at, :refresh_at, 1, false, true, 1, :stored_at)"""
)

_CONFLICT = Statement(
    """INSERT INTO conflicts (tenant_id, id, seq, version, audience, deleted, stamp, author, collection, record_id,
         field, status, current, candidates, opened_at)
       VALUES (:tenant_id, :id, :seq, 1, 'tenant', false, :now, 'system:test', 'products', :id, 'price', :status,
         'null', '[]', :now)"""
)


@pytest.fixture
async def outlet(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out, once on each kind of database."""
    async with open_outlet(database_url) as opened:
        yield opened


def _watch(outlet: Outlet) -> Watch:
    return Watch(outlet.database, outlet.clock, Path())


async def _account(outlet: Outlet) -> Account:
    """The only one there is."""
    found, left_out = await outlet.database.read(all_accounts)
    assert (len(found), left_out) == (1, 0)
    return found[0]


async def _status(outlet: Outlet) -> Status:
    return status_of(await _account(outlet), outlet.clock(), DOWN_AFTER_MS)


async def test_the_status_follows_what_happens(outlet: Outlet) -> None:
    """Unknown, reached, failing for a moment, failing for long, recovered, something given up."""
    await outlet.bind()
    told = [await _status(outlet)]
    await outlet.sell()
    await outlet.relay(Scripted()).drain()
    told.append(await _status(outlet))
    (sale,) = await outlet.sell()
    outlet.clock.ms += DOWN_AFTER_MS
    await outlet.relay(Scripted(lambda _call: Answer(503))).drain()
    told.append(await _status(outlet))
    outlet.clock.ms += DOWN_AFTER_MS
    told.append(await _status(outlet))
    await outlet.relay(Scripted()).drain()
    told.append(await _status(outlet))
    await outlet.void(sale)
    await outlet.relay(Scripted(lambda _call: Answer(422))).drain()
    told.append(await _status(outlet))
    assert told == ["unknown", "ok", "degraded", "down", "ok", "degraded"]


async def test_what_an_account_tells_does_not_hide_that_our_calls_fail(outlet: Outlet) -> None:
    """Its webhooks keep coming while nothing of ours gets through: it is down."""
    endpoint_id, contacts = await outlet.bind(), Contacts()
    await outlet.sell()
    relay = outlet.relay(Scripted(lambda _call: Answer(503)))
    hear = partial(contacts.heard, tenant_id=outlet.tenant_id, endpoint_id=endpoint_id)
    for _ in range(2):
        await relay.drain()
        outlet.clock.ms += DOWN_AFTER_MS
        await outlet.writer.submit(Job([], hear))
    account = await _account(outlet)
    assert (account.succeeded_at, account.heard_at) == (None, encode_instant(outlet.clock()))
    assert await _status(outlet) == "down"
    assert (
        "rientro_integration_last_webhook_timestamp_seconds{"
        in expose(await _watch(outlet).figures(), DOWN_AFTER_MS).decode()
    )


async def test_the_last_failure_is_told_by_class_and_code(outlet: Outlet) -> None:
    """Beside the last success, which it does not erase."""
    await outlet.bind()
    await outlet.sell(2)
    answers = [Answer(200), Answer(429)]
    await outlet.relay(Scripted(lambda _call: answers.pop())).drain()
    account = await _account(outlet)
    assert (account.error_class, account.error) == ("transient", "throttled")
    assert account.succeeded_at == account.failed_at == encode_instant(outlet.clock())


async def test_an_open_breaker_is_told(outlet: Outlet) -> None:
    """Until a call shows that the provider works again."""
    await outlet.bind(breaker_failures=2)
    await outlet.sell(2)
    await outlet.relay(Scripted(lambda _call: Answer(503))).drain()
    opened = await _account(outlet), await _watch(outlet).figures()
    outlet.clock.ms += 3_600_000
    await outlet.relay(Scripted()).drain()
    closed = await _account(outlet)
    assert [one.breaker for one in (opened[0], closed)] == ["open", "closed"]
    assert (
        f'rientro_breaker_open{{endpoint="{closed.endpoint_id}",provider="http"}} 1.0'
        in expose(opened[1], DOWN_AFTER_MS).decode()
    )


async def test_contacts_are_noted_once_a_minute(outlet: Outlet) -> None:
    """A row that every delivery updates would hold them up."""
    await outlet.bind()
    relay = outlet.relay(Scripted())
    seen = []
    for _ in range(3):
        outlet.clock.ms += 40_000
        await outlet.sell()
        await relay.drain()
        seen += [row[0] for row in await outlet.fetch("SELECT succeeded_at FROM contacts")]
    assert [at == seen[0] for at in seen] == [True, True, False]


async def _insert_many(outlet: Outlet, endpoint_id: str, count: int) -> None:
    now = encode_instant(outlet.clock())
    rows = [
        (outlet.tenant_id, outlet.new_id(), endpoint_id, "sales.forward", "post", "sales", outlet.new_id(), place,
         outlet.new_id(), "{}", f"key-{place}", "corr", "pending", True, 0, 0, False, now, 0, now, None, None, None)
        for place in range(count)
    ]  # fmt: skip
    assert len(rows[0]) == len(COLUMNS)

    async def job(writing: Writing) -> None:
        await writing.tx.copy("outbox", COLUMNS, INSERT, rows)

    await outlet.writer.submit(Job([outlet.tenant_id], job))


async def test_what_waits_is_counted_and_aged(outlet: Outlet) -> None:
    """By account; the oldest is as old as its due time, or as its first failure."""
    endpoint_id = await outlet.bind()
    await _insert_many(outlet, endpoint_id, 3)
    outlet.clock.ms += 90_000
    account = await _account(outlet)
    assert (account.outbox.waiting, age_s(account.outbox, outlet.clock())) == (3, 90.0)
    await outlet.relay(Scripted(lambda _call: Answer(503))).drain()
    outlet.clock.ms += 10_000
    account = await _account(outlet)
    assert age_s(account.outbox, outlet.clock()) == 10.0


async def test_one_accounts_dead_letters_hide_nobody_elses(outlet: Outlet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account is counted up to the bound by itself."""
    monkeypatch.setattr(
        accounts, "_ALL_ACCOUNTS", Statement(accounts._ALL_ACCOUNTS.sql("sqlite").replace("10000", "3"))
    )
    first, second = await outlet.bind(), await outlet.bind(route="another")
    await _insert_many(outlet, first, 5)
    await _insert_many(outlet, second, 1)

    async def bury(writing: Writing) -> None:
        dead = Statement("UPDATE outbox SET state = 'dead', holds = false WHERE tenant_id = :tenant_id")
        await writing.tx.execute(dead, (outlet.tenant_id,))

    await outlet.writer.submit(Job([outlet.tenant_id], bury))
    found, _ = await outlet.database.read(accounts.all_accounts)
    assert {one.endpoint_id: one.in_state("outbox", "dead") for one in found} == {first: 3, second: 1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_part_of_the_statement_probes_an_index(outlet: Outlet) -> None:
    """On SQLite, whose plans do not depend on how much is there: only the small tables are scanned."""

    async def plan(tx: Tx) -> list[str]:
        explained = Statement(f"EXPLAIN QUERY PLAN {accounts._ALL_ACCOUNTS.sql('sqlite')}")
        return [row[3] for row in await tx.fetch(explained)]

    steps = await outlet.database.read(plan)
    large = [step for step in steps if step.split()[1] in {"outbox", "inbox", "o", "i"}]
    assert len(large) >= 8
    assert [step for step in large if "INDEX ix_" not in step] == []


async def test_a_scrape_is_remembered_for_a_moment(outlet: Outlet) -> None:
    """However many scrape at once."""
    watch = _watch(outlet)
    first = await watch.figures()
    outlet.clock.ms += REMEMBER_MS - 1
    assert await watch.figures() is first
    outlet.clock.ms += 1
    assert await watch.figures() is not first


async def test_while_the_database_is_away_only_that_is_told(outlet: Outlet, tmp_path: Path) -> None:
    """No old figure is told as if it were now."""
    database = SqliteDatabase(str(tmp_path / "no folder" / "x.db"))
    figures = await Watch(database, outlet.clock, Path()).figures()
    text = expose(figures, DOWN_AFTER_MS).decode()
    await database.close()
    assert (figures.is_up, figures.accounts, "rientro_database_up 0.0" in text) == (False, [], True)
    assert "rientro_outbox_waiting{" not in text


async def test_conflicts_that_wait_for_a_person_are_counted(outlet: Outlet) -> None:
    """Of all merchants; decided ones are over."""

    async def quarrel(writing: Writing) -> None:
        for place, status in enumerate(("open", "open", "decided"), 1):
            row = {"tenant_id": outlet.tenant_id, "id": outlet.new_id(), "seq": place, "now": writing.now}
            await writing.tx.execute(_CONFLICT, {**row, "status": status})

    await outlet.writer.submit(Job([outlet.tenant_id], quarrel))
    assert "rientro_conflicts_open 2.0" in expose(await _watch(outlet).figures(), DOWN_AFTER_MS).decode()


async def test_what_comes_to_its_end_is_told_before_it_ends(outlet: Outlet) -> None:
    """Certificates and secrets within thirty days, lost consents; what is far off is nobody's business yet."""
    endpoint_id, now_ms = await outlet.bind(), outlet.clock()
    far, soon, past = (encode_instant(now_ms + days * 86_400_000) for days in (31, 29, -1))

    async def date(writing: Writing) -> None:
        for name, replace_by, expires_at in (("client_certificate", far, soon), ("api_key", past, None)):
            row = (outlet.tenant_id, endpoint_id, name, past, replace_by, expires_at)
            await writing.tx.execute(_DATED, row)
        await writing.tx.execute(_LOST, (outlet.tenant_id, endpoint_id, past, past, past))

    await outlet.writer.submit(Job([outlet.tenant_id], date))
    text = expose(await _watch(outlet).figures(), DOWN_AFTER_MS).decode()
    told = re.findall(r'secret_ends_timestamp_seconds{.*,secret="(\w+)",what="(\w+)"} (\S+)', text)
    assert {(secret, what): float(at) for secret, what, at in told} == {
        ("client_certificate", "expires"): decode_instant(soon) / 1000,
        ("api_key", "replace"): decode_instant(past) / 1000,
        ("oauth", "consent_lost"): decode_instant(past) / 1000,
    }
