"""People by the command line, in real processes."""

from pathlib import Path

from server.app import open_core
from server.audit import OPERATOR
from server.auth.entrance import Place
from server.auth.invites import Taking
from server.auth.sessions import Issued
from server.settings import Settings
from tests.cli.commands import rientro, rientro_json

PASSWORD = "un caffè lungo"


async def take(data: Path, link: str) -> Issued:
    """Take a link, as the application does."""
    async with open_core(Settings(data=data, database_url=None, secret_key=None), migrate=False) as core:
        token = link.partition("=")[2]
        return await core.access.invites.take(token, Taking("Anna", "anna", PASSWORD), Place("Telefono"), OPERATOR)


async def test_a_merchant_is_set_up_and_its_people_looked_after(tmp_path: Path) -> None:
    """A link lets the first owner in, who stays as long as nobody else can come in."""
    made = rientro_json(tmp_path, "setup", "--name", "Bar Centrale", "--handle", "bar-centrale")
    assert set(made) == {"tenant_id", "person_id", "link", "expires_at"}
    assert made["link"].startswith("http://localhost:8000/#setup=")
    assert (await take(tmp_path, made["link"])).person_id == made["person_id"]
    tenant = ("--tenant", made["tenant_id"])
    stays = rientro(tmp_path, "person", "disable", *tenant, "--person", made["person_id"])
    assert (stays.returncode, "let another one in first" in stays.stderr) == (1, True)
    added = rientro_json(tmp_path, "person", "add", *tenant, "--name", "Bruno", "--login", "bruno")
    assert added["person_id"] != made["person_id"]
    people = rientro_json(tmp_path, "person", "list", *tenant)
    assert [(one["name"], one["login"], one["has_password"]) for one in people] == [
        *(("Anna", "anna", True), ("Bruno", "bruno", False)),
    ]
