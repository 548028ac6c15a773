"""Setting up by the command line, in real processes, as a user would."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import rientro, rientro_json
from tests.support.processes import server_process

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_from_an_empty_folder_to_a_signed_in_till(tmp_path: Path) -> None:
    """A tenant, a device, an account at a provider; then the device is let in by a real server."""
    data = tmp_path / "data"
    tenant_id = rientro_json(data, "tenant", "add", "Bar Centrale")["tenant_id"]
    device = rientro_json(data, "device", "add", "--tenant", tenant_id, "--name", "Cassa 1", "--role", "terminal")
    assert set(device) == {"device_id", "token", "tenant_id"}
    settings = ("--set", "url=https://example.org/in", "--set", "secret=-")
    account = ("provider", "add", "--tenant", tenant_id, "--provider", "http", "--name", "Ufficio", *settings)
    endpoint = rientro_json(data, *account, given=SECRET)
    assert endpoint["webhook_path"].startswith("/v1/webhooks/http/")
    assert SECRET not in (data / "rientro.db").read_bytes().decode("latin-1")
    listed = rientro_json(data, "device", "list", "--tenant", tenant_id)
    assert [(one["name"], one["role"]) for one in listed] == [("Cassa 1", "terminal")]
    arguments = ["-m", "server", "serve", "--port", "{port}"]
    async with server_process(arguments, tmp_path / "log", {"RIENTRO_DATA": str(data)}) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            signed = {"Authorization": f"Bearer {device['token']}"}
            assert (await http.get("/v1/schema", headers=signed)).status_code == 200
        await server.stop()
    assert device["token"] not in (tmp_path / "log").read_text()


async def test_a_revoked_device_is_out(tmp_path: Path) -> None:
    """And asking twice says so."""
    tenant_id = rientro_json(tmp_path, "tenant", "add", "Bar")["tenant_id"]
    device = rientro_json(tmp_path, "device", "add", "--tenant", tenant_id, "--name", "Cassa", "--role", "clerk")
    revoke = ("device", "revoke", "--tenant", tenant_id, "--device", device["device_id"])
    asked = rientro(tmp_path, *revoke, given="n\n")
    assert (asked.returncode, rientro_json(tmp_path, "device", "list", "--tenant", tenant_id)[0]["revoked_at"]) == (
        1,
        None,
    )
    assert rientro(tmp_path, *revoke, "--yes").returncode == 0
    again = rientro(tmp_path, *revoke, "--yes")
    assert (again.returncode, "revoked before" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["device", "add", "--tenant", "x", "--name", "a", "--role", "owner"], "is not an id"),
        (["device", "add", "--tenant", "{none}", "--name", "a", "--role", "owner"], "no such merchant"),
        (["device", "add", "--tenant", "{none}", "--name", "a", "--role", "boss"], "use one of owner"),
        (["provider", "add", "--tenant", "{none}", "--provider", "fax", "--name", "a"], "use one of"),
        (["provider", "add", "--tenant", "{none}", "--provider", "http", "--name", "a", "--set", "x"], "key=value"),
        (["provider", "add", "--tenant", "{none}", "--provider", "http", "--name", "a"], "url: Field required"),
        (["outbox", "show", "{none}", "--tenant", "{none}"], "no such delivery"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_words(tmp_path: Path, arguments: Sequence[str], says: str) -> None:
    """No traceback, an exit code, and what to do instead."""
    none = "0192f0c1-0000-7000-8000-000000000001"
    done = rientro(tmp_path, *(argument.replace("{none}", none) for argument in arguments))
    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [("postgresql+asyncpg://u:geheim@127.0.0.1:1/x", "cannot be used"), ("mysql://u:geheim@h/x", "kind mysql")],
)
def test_a_database_that_is_not_there_is_said_without_its_password(tmp_path: Path, url: str, says: str) -> None:
    """One line for whoever is on call."""
    done = rientro(tmp_path, "tenant", "list", RIENTRO_DATABASE_URL=url)
    assert (done.returncode, says in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr + done.stdout
