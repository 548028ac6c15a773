"""Alerts to the owner: told once however many processes see it, signed, and without anybody's data."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from server.ops.alarms import Alarms
from server.ops.alerts.loop import Alerting
from server.ops.figures import Watch
from server.outbound import Outbound, open_outbound
from server.ports import Answer
from server.resilience.contacts import Contacts
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.ops.owner import SECRET, Owner, open_owner
from tests.outbox.outlet import Outlet, Scripted, open_outlet

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
async def outlet(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out, once on each kind of database."""
    async with open_outlet(database_url) as opened:
        yield opened


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    """Somebody who wants to know."""
    async with open_owner() as listening:
        yield listening


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """The way out, which may lead to this machine here."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


@pytest.fixture
def alerting(outlet: Outlet, owner: Owner, outbound: Outbound) -> Alerting:
    """One process that looks."""
    return _process(outlet, owner, outbound)


def _process(outlet: Outlet, owner: Owner, outbound: Outbound) -> Alerting:
    return Alerting(
        watch=Watch(outlet.database, outlet.clock, Path()),
        writer=outlet.writer,
        alarms=Alarms(),
        outbound=outbound,
        url=owner.url,
        secret=SECRET,
        failing_after_ms=15 * MINUTE_MS,
    )


async def _fail(outlet: Outlet, status: int) -> None:
    await outlet.bind()
    await outlet.sell()
    await outlet.relay(Scripted(lambda _call: Answer(status))).drain()


async def test_deliveries_that_fail_for_long_are_told_and_a_hiccup_is_not(
    outlet: Outlet, owner: Owner, alerting: Alerting
) -> None:
    """After a quarter of an hour, once, and once more a day later."""
    await _fail(outlet, 503)
    await alerting.once()
    assert owner.kinds() == []
    outlet.clock.ms += 16 * MINUTE_MS
    assert (await alerting.once(), owner.alerts[0]["kind"]) == (1, "failing")
    (told,) = owner.alerts
    assert (told["endpoint_id"], told["provider"], told["error"]) == (outlet.endpoints[0], "http", "server_error")
    for _ in range(20):
        outlet.clock.ms += 30 * MINUTE_MS
        await alerting.once()
    assert owner.kinds() == ["failing"]
    outlet.clock.ms += 24 * HOUR_MS
    await alerting.once()
    assert sorted(owner.kinds()) == ["failing", "silent"]


async def test_of_several_processes_one_tells(outlet: Outlet, owner: Owner, outbound: Outbound) -> None:
    """What is told is claimed in the database first."""
    await _fail(outlet, 422)
    processes = [_process(outlet, owner, outbound) for _ in range(3)]
    told = [await process.once() for process in processes]
    assert (told, owner.kinds()) == ([1, 0, 0], ["stuck"])


async def test_what_was_not_taken_is_told_again_under_the_same_id(
    outlet: Outlet, owner: Owner, alerting: Alerting
) -> None:
    """When its lease is over; then never again."""
    await _fail(outlet, 422)
    owner.status = 503
    assert await alerting.once() == 0
    owner.status = 204
    assert await alerting.once() == 0
    outlet.clock.ms += MINUTE_MS + 1
    assert await alerting.once() == 1
    assert await alerting.once() == 0
    assert (len(owner.ids), len(set(owner.ids))) == (2, 1)


async def test_more_of_the_same_is_told_after_a_while(outlet: Outlet, owner: Owner, alerting: Alerting) -> None:
    """A flood of dead letters is a message each quarter of an hour, with how many there are."""
    await _fail(outlet, 422)
    await alerting.once()
    await outlet.sell(5)
    await outlet.relay(Scripted(lambda _call: Answer(422))).drain()
    outlet.clock.ms += 6_000
    await alerting.once()
    assert [alert["value"] for alert in owner.alerts] == [1]
    outlet.clock.ms += 15 * MINUTE_MS
    await alerting.once()
    assert [alert["value"] for alert in owner.alerts] == [1, 6]


async def test_a_paused_account_is_nobody_s_business(outlet: Outlet, owner: Owner, alerting: Alerting) -> None:
    """Whoever paused it knows."""
    await _fail(outlet, 422)

    async def pause(writing: Writing) -> None:
        statement = Statement("UPDATE endpoints SET paused = true WHERE tenant_id = :tenant_id")
        await writing.tx.execute(statement, (outlet.tenant_id,))

    await outlet.writer.submit(Job([outlet.tenant_id], pause))
    await alerting.once()
    assert owner.kinds() == []


async def test_an_alarm_in_the_log_is_told_with_its_event_only(
    outlet: Outlet, owner: Owner, alerting: Alerting
) -> None:
    """Counted while it goes on; what single deliveries alarm about is told as what they leave behind."""
    for event in ("history_rewound", "history_rewound", "delivery_attempt"):
        alerting.alarms.note(
            None, "error", {"event": event, "alarm": True, "tenant_id": outlet.tenant_id, "x": "Mario"}
        )
    alerting.alarms.note(None, "error", {"event": "relay_failed", "alarm": True})
    alerting.alarms.note(None, "error", {"event": "harmless", "alarm": False})
    await alerting.once()
    told = [(alert["event"], alert["value"], alert["tenant_id"]) for alert in owner.alerts]
    assert sorted(told) == [("history_rewound", 2, outlet.tenant_id), ("relay_failed", 1, None)]
    assert "Mario" not in "".join(owner.bodies)


async def test_an_alarm_while_the_database_is_away_is_kept(
    outlet: Outlet, owner: Owner, alerting: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And told when it is back."""

    async def away(_job: object) -> None:
        raise DatabaseError("away", transient=True)

    alerting.alarms.note(None, "error", {"event": "relay_failed", "alarm": True})
    with monkeypatch.context() as patch:
        patch.setattr(alerting.writer, "submit", away)
        with pytest.raises(DatabaseError):
            await alerting.once()
    await alerting.once()
    assert owner.kinds() == ["alarm"]


async def test_silence_of_a_day_is_told(outlet: Outlet, owner: Owner, alerting: Alerting) -> None:
    """An account that was reached a day ago, and never since."""
    await outlet.bind()
    await outlet.sell()
    await outlet.relay(Scripted()).drain()
    outlet.clock.ms += 24 * HOUR_MS - MINUTE_MS
    await alerting.once()
    assert owner.kinds() == []
    outlet.clock.ms += 2 * MINUTE_MS
    await alerting.once()
    assert owner.kinds() == ["silent"]


async def test_an_account_that_only_tells_is_not_silent(outlet: Outlet, owner: Owner, alerting: Alerting) -> None:
    """Nobody calls it, and webhooks came within the day."""
    endpoint_id, contacts = await outlet.bind(), Contacts()
    outlet.clock.ms += 24 * HOUR_MS
    await outlet.writer.submit(Job([], partial(contacts.heard, tenant_id=outlet.tenant_id, endpoint_id=endpoint_id)))
    outlet.clock.ms += 24 * HOUR_MS - MINUTE_MS
    await alerting.once()
    assert owner.kinds() == []
    outlet.clock.ms += 2 * MINUTE_MS
    await alerting.once()
    assert owner.kinds() == ["silent"]


async def test_what_is_over_for_an_hour_is_forgotten_and_can_come_again(
    outlet: Outlet, owner: Owner, alerting: Alerting
) -> None:
    """The next time it is news."""
    await _fail(outlet, 503)
    for _ in range(2):
        outlet.clock.ms += 16 * MINUTE_MS
        await alerting.once()
    await outlet.relay(Scripted()).drain()
    outlet.clock.ms += 61 * MINUTE_MS
    await alerting.once()
    await outlet.sell()
    await outlet.relay(Scripted(lambda _call: Answer(503))).drain()
    outlet.clock.ms += 16 * MINUTE_MS
    await alerting.once()
    assert [(alert["kind"], alert["told_before"]) for alert in owner.alerts] == [("failing", 0), ("failing", 0)]
