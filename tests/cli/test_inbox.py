"""`rientro inbox replay`, in real processes: many at a rate, and how many beforehand."""

from pathlib import Path

import pytest
import typer

from server.app import open_core
from server.cli.common import parse_instant
from server.cli.inbox import _parse_rate
from server.ids import uuid7
from server.inbox.listing import Filter, list_events
from server.inbox.store import Incoming, store
from server.settings import Settings
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.cli.commands import rientro

DEAD = Statement("UPDATE inbox SET state = 'dead', received_at = :at WHERE tenant_id = :tenant_id")


async def told(data: Path, count: int) -> str:
    """A tenant with so many dead events of a day long ago; its id."""
    async with open_core(Settings(data=data)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")

        async def job(writing: Writing) -> None:
            for number in range(count):
                incoming = Incoming(
                    tenant_id, uuid7(), "pos", "webhook", f"e{number}", "x", None, b"{}", {}, "s", "corr"
                )
                await store(writing, incoming, uuid7())
            await writing.tx.execute(DEAD, ("2026-11-20T10:00:00.000Z", tenant_id))

        await core.writer.submit(Job([tenant_id], job))
    return tenant_id


async def test_what_is_dead_is_counted_quietly_and_then_replayed(tmp_path: Path) -> None:
    """A dry run prints a number and changes nothing."""
    tenant_id = await told(tmp_path, 5)
    replay = ("inbox", "replay", "--tenant", tenant_id, "--state", "dead", "--provider", "pos")
    counted = rientro(tmp_path, *replay, "--since", "2026-11-20", "--dry-run")
    assert (counted.returncode, counted.stdout, counted.stderr) == (0, "5\n", "")
    assert rientro(tmp_path, *replay, "--since", "2026-11-21", "--dry-run").stdout == "0\n"
    done = rientro(tmp_path, *replay, "--rate", "2/s", "--limit", "4")
    assert (done.returncode, done.stdout) == (0, "4 to be processed again, over 2 s.\n")
    async with open_core(Settings(data=tmp_path)) as core:
        states = [event.state for event in await list_events(core.database, tenant_id, Filter())]
    assert sorted(states) == ["dead", *["pending"] * 4]


def test_rates_and_times_are_read_as_people_write_them() -> None:
    """What cannot be one is refused with what to write instead."""
    assert (_parse_rate("20/s"), _parse_rate("0.5/s"), _parse_rate("7")) == (20, 0.5, 7)
    assert parse_instant("2026-11-24") == "2026-11-24T00:00:00.000Z"
    assert parse_instant("2026-11-24T09:00+01:00") == "2026-11-24T08:00:00.000Z"
    assert encode_instant(0) < parse_instant("3d") < parse_instant("1h")
    for wrong in ("0/s", "-1/s", "2000/s", "20/m", ""):
        with pytest.raises(typer.BadParameter):
            _parse_rate(wrong)
    for wrong in ("yesterday", "", "2026-13-01"):
        with pytest.raises(typer.BadParameter):
            parse_instant(wrong)
