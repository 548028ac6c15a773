"""Something died: what the operator is told, owners' devices are told too; and not of failures to tell them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.ops.alarms import Alarms
from server.ops.alerts.loop import Alerting
from server.ops.figures import Watch
from server.ports import Answer
from server.storage.writer import Job, Writing
from tests.ops.owner import SECRET, Owner, open_owner
from tests.outbox.outlet import Scripted
from tests.webpush.beach import HOUR_MS, MINUTE_MS, Beach


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    """The address in the settings."""
    async with open_owner() as listening:
        yield listening


def alerting(beach: Beach, url: str | None = None) -> Alerting:
    """One process that looks."""
    return Alerting(
        watch=Watch(beach.outlet.database, beach.clock, Path()),
        writer=beach.outlet.writer,
        alarms=Alarms(),
        outbound=beach.outbound,
        url=url,
        secret=SECRET,
        failing_after_ms=15 * MINUTE_MS,
        devices=beach.noticed,
    )


async def refuse_a_sale(beach: Beach) -> None:
    """A delivery dies."""
    await beach.outlet.bind()
    await beach.outlet.sell()
    await beach.outlet.relay(Scripted(lambda _call: Answer(422))).drain()


async def test_a_dead_letter_is_told_to_owners_without_an_address_in_the_settings(beach: Beach) -> None:
    """Once, to those who may see it; a day later again while it lasts."""
    browser, clerk = await beach.owner(), await beach.subscribe(await beach.device("clerk"))
    await refuse_a_sale(beach)
    looking = alerting(beach)
    assert [await looking.once() for _ in range(3)] == [1, 0, 0]
    await beach.tell()
    (told,) = await beach.service.messages(browser)
    assert told["notification"]["title"] == "Qualcosa si è fermato"
    assert told["notification"]["body"] == "Consegne o eventi di un collegamento aspettano una persona."
    assert (told["notification"]["navigate"], told["app_badge"]) == ("https://shop.example/status", 0)
    assert await beach.service.messages(clerk) == []
    for _ in range(25):
        beach.clock.ms += HOUR_MS
        await looking.once()
    await beach.tell()
    assert len(await beach.service.messages(browser)) == 2


async def test_what_the_address_does_not_take_is_told_to_devices_once(beach: Beach, owner: Owner) -> None:
    """The message is sent again; the notification is not."""
    browser = await beach.owner()
    await refuse_a_sale(beach)
    owner.status = 503
    looking = alerting(beach, owner.url)
    assert await looking.once() == 0
    await beach.tell()
    owner.status = 204
    beach.clock.ms += 10 * MINUTE_MS
    assert await looking.once() == 1
    await beach.tell()
    assert (len(owner.ids), len(await beach.service.messages(browser))) == (2, 1)


async def test_a_message_to_a_device_that_died_is_told_to_the_operator_only(beach: Beach, owner: Owner) -> None:
    """Else telling of it could die, too; and a push service that nothing was sent to for days is no news."""
    browser = await beach.owner()
    await beach.invoice()
    await beach.service.script({"status": 403})
    await beach.tell()
    assert await alerting(beach, owner.url).once() == 1
    await beach.tell(30 * HOUR_MS)
    await alerting(beach, owner.url).once()
    assert (owner.kinds(), await beach.service.messages(browser)) == (["stuck", "stuck"], [])


async def test_an_alert_of_a_closing_is_told_as_one(beach: Beach) -> None:
    """Whoever compares closings raises an alert of that kind, and devices hear of it."""
    browser = await beach.owner(lang="en")

    async def alert(kind: str) -> None:
        row = (beach.tenant_id, kind, beach.outlet.new_id(), "2025-11-24T10:00:00.000Z")
        await beach.outlet.change_rows(
            "INSERT INTO alerts (tenant_id, kind, subject, since, seen_at, value, told, told_value, next_at)"
            " VALUES (:tenant_id, :kind, :subject, :now, :now, 1, 0, 0, :now)",
            *row,
        )

        async def job(writing: Writing) -> None:
            await beach.noticed.alerts(writing, [row[:3]])

        await beach.outlet.writer.submit(Job([], job))

    for kind in ("closing", "closing", "another"):
        await alert(kind)
    await beach.tell()
    assert await beach.service.titles(browser) == ["2 closings do not add up"]
