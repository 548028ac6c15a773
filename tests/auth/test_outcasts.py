"""After a restore of an older backup: who was thrown out since then stays out, and who stayed comes in as before."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from server.app import Core, open_core
from server.audit import OPERATOR
from server.auth.entrance import Place
from server.auth.errors import AccessError
from server.auth.invites import Taking
from server.auth.outcasts import NOBODY, kept_out, known_outcasts
from server.auth.people import Change, NewPerson
from server.auth.sign_in import Shown
from server.auth.tokens import parse_token
from server.ops.backup import backup, restore
from server.settings import Settings
from server.storage.open import open_database
from tests.ops.restoring import STAMP, Nonces, ignore
from tests.support.shop import START_MS

OLD, NEW = "un caffè lungo", "un caffè corto"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """An installation of its own."""
    return Settings(data=tmp_path, database_url=SecretStr(database_url), relay=False)


async def _person(core: Core, tenant_id: str, name: str, role: str) -> tuple[str, str]:
    """Somebody with a password, signed in: id, access token."""
    person = await core.access.people.add(tenant_id, NewPerson(name, role, "centro", name.lower()), OPERATOR)
    link = (await core.access.invites.make(tenant_id, person, OPERATOR)).link
    issued = await core.access.invites.take(link.partition("=")[2], Taking(password=OLD), Place(name), OPERATOR)
    return person, issued.access_token


async def _restored(settings: Settings, copy: Path) -> None:
    """As the command does it."""
    async with open_core(settings, migrate=False) as core:
        beside = kept_out(await known_outcasts(core.database))
    await restore(settings.database(), copy, STAMP, clock=lambda: START_MS, nonce=Nonces(), beside=beside)


async def test_a_backup_lets_nobody_in_again(settings: Settings, tmp_path: Path) -> None:
    """A revoked till and key, a disabled person, and a password that was changed; and no owner who was made a clerk."""
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        tills = [await core.admin.add_device(tenant_id, name, "terminal", "centro") for name in ("1", "2", "3")]
        people = {}
        for name, role in (("Anna", "owner"), ("Bruno", "owner"), ("Carla", "clerk")):
            people[name] = await _person(core, tenant_id, name, role)
        await backup(settings.database(), core.writer, tmp_path / "copy", ignore)
        await core.admin.revoke_device(tenant_id, tills[0].device_id)
        key = parse_token(tills[1].token)
        assert key is not None
        await core.access.keys.revoke(tenant_id, key.key_id, OPERATOR)
        await core.access.people.disable(tenant_id, people["Carla"][0], OPERATOR)
        await core.access.people.change(tenant_id, people["Bruno"][0], Change(role="clerk"), OPERATOR)
        link = (await core.access.invites.make(tenant_id, people["Anna"][0], OPERATOR)).link
        await core.access.invites.take(link.partition("=")[2], Taking(password=NEW), Place("Anna"), OPERATOR)
    await _restored(settings, tmp_path / "copy")
    async with open_core(settings, migrate=False) as core:
        bearers = {till.device_id: till.token for till in tills} | {name: token for name, (_, token) in people.items()}
        let_in = {name for name, token in bearers.items() if await core.access.guard.now(token) is not None}
        roles = {one.name: one.role for one in await core.access.people.list(tenant_id)}
        assert let_in == {tills[2].device_id, "Bruno"}  # Anna is signed out where she was by the new password
        assert roles == {"Anna": "owner", "Bruno": "clerk", "Carla": "clerk"}
        with pytest.raises(AccessError):
            await core.access.sign_in.by_password(tenant_id, Shown("anna", OLD), Place("x"), OPERATOR)
        await core.access.sign_in.by_password(tenant_id, Shown("anna", NEW), Place("x"), OPERATOR)


async def test_a_database_that_cannot_be_read_tells_of_nobody(tmp_path: Path) -> None:
    """Which may be why somebody restores: the restore goes on."""
    (tmp_path / "broken.db").write_bytes(b"no database" * 1000)
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'broken.db'}")
    try:
        assert await known_outcasts(database) == NOBODY
    finally:
        await database.close()
