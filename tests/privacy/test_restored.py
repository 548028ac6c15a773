"""After a restore of an older backup: what was erased since then is erased again, before anybody is answered."""

from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from server.app import open_core
from server.ops.backup import backup, restore
from server.privacy.ledger import FILE, carried, known_erasures
from server.settings import Settings
from server.storage.open import open_database
from tests.cli.commands import rientro
from tests.ops.restoring import STAMP, Nonces, ignore
from tests.privacy.file import NOTE, PERSON, File, open_file
from tests.support.shop import START_MS


async def _restore(settings: Settings, copy: Path, *, readable: bool) -> None:
    """As the command does; where the database cannot be read any more, the file beside it tells."""
    database = open_database(settings.database())
    try:
        erased = await known_erasures(database if readable else None, settings.data)
    finally:
        await database.close()
    clock = lambda: START_MS  # noqa: E731
    await restore(settings.database(), copy, STAMP, clock=clock, nonce=Nonces(), beside=carried(erased))


async def _late(file: File, customer: str) -> str | None:
    """What a till's journal brings back is answered with."""
    made = file.mutation("customers", customer, "create", fields={"name": PERSON})
    code: str | None = (await file.sync(made))["verdicts"][0]["code"]
    return code


async def _noted(file: File) -> list[tuple[str, str, str]]:
    audit = (await file.call("GET", "/v1/audit?action=customer.erase")).json()["audit"]
    return [(one["actor_kind"], one["reason"], one["subject_id"]) for one in audit]


@pytest.mark.parametrize("readable", [True, False], ids=["its database is there", "only the file is there"])
async def test_a_backup_brings_nobody_back(settings: Settings, tmp_path: Path, readable: bool) -> None:  # noqa: FBT001
    """Who was in it is erased again, and what tills send again is refused."""
    copy = tmp_path / "copy"
    async with open_file(settings) as file:
        await backup(settings.database(), file.core.writer, copy, ignore)
        (tmp_path / FILE).write_text('{"tenant_id": "cut o')  # it was being written when the power went
        await file.erase()
        assert PERSON not in (tmp_path / FILE).read_text()
    await _restore(settings, copy, readable=readable)
    async with open_file(settings, file.tenant_id, file.token) as again:
        again.new_id = file.new_id
        assert await _late(again, file.customer) == "erased"
        assert (await again.holding(PERSON), await again.holding(NOTE)) == (set(), {"outbox"})  # still to be sent
        assert await _noted(again) == [("system", "request", file.customer)]


async def test_no_command_shows_who_was_erased(settings: Settings, tmp_path: Path) -> None:
    """The restore itself ends with it: no server need have run."""
    copy, url = tmp_path / "copy", settings.database()
    async with open_file(settings) as file:
        await backup(url, file.core.writer, copy, ignore)
        await file.erase()
    command = partial(rientro, tmp_path, "restore", str(copy), "--yes", RIENTRO_DATABASE_URL=url)
    done = await to_thread.run_sync(command)
    assert done.returncode == 0, done.stderr
    async with open_core(settings, migrate=False) as core:
        held = await core.exporter.look(file.tenant_id, file.customer)
    assert held.erased
    assert PERSON not in str(held)
    assert (len(held.superseded), len(held.waiting), NOTE in str(held.naming)) == (0, 1, False)


async def test_who_came_after_the_backup_stays_erased(settings: Settings, tmp_path: Path) -> None:
    """The backup never knew them: their id is taken all the same."""
    copy = tmp_path / "copy"
    async with open_file(settings) as file:
        await backup(settings.database(), file.core.writer, copy, ignore)
        customer = file.customer = file.new_id()
        assert await _late(file, customer) is None
        await file.erase()
    await _restore(settings, copy, readable=True)
    async with open_file(settings, file.tenant_id, file.token) as again:
        again.new_id = file.new_id
        assert await _late(again, customer) == "erased"
