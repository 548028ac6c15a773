"""`rientro key`: a key's life on the command line, in this process."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from typer.testing import CliRunner

from server.app import open_core
from server.cli import main
from server.settings import Settings

Run = Callable[..., tuple[int, str]]
NONE = "0192f0c1-0000-7000-8000-000000000001"


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread of its own: a command makes its own event loop, and the tests' may be in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function, *arguments).result()


async def _set_up(settings: Settings) -> tuple[str, str]:
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        return tenant_id, (await core.admin.add_device(tenant_id, "Cassa", "terminal", "centro")).device_id


@pytest.fixture
def till(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A merchant's id and its till's."""
    assert sqlite_url.endswith(f"{tmp_path}/rientro.db")
    monkeypatch.setenv("RIENTRO_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("server.cli.common.set_up_logs", lambda _level: None)
    made: tuple[str, str] = alone(anyio.run, _set_up, Settings(data=tmp_path))
    return made


@pytest.fixture
def run(till: tuple[str, str]) -> Run:
    """A command of `rientro key` for the merchant; its exit code and output."""

    def command(verb: str, *arguments: str) -> tuple[int, str]:
        done = alone(CliRunner().invoke, main, ["key", verb, "--tenant", till[0], *arguments])
        return done.exit_code, done.output

    return command


def test_a_key_is_made_listed_replaced_and_revoked(run: Run, till: tuple[str, str], tmp_path: Path) -> None:
    """Narrowed, signed, tied to a certificate; its secrets are shown once and stand nowhere in the database."""

    def told(verb: str, *arguments: str) -> Any:
        code, output = run(verb, *arguments, "--json")
        assert code == 0, output
        return json.loads(output)

    pem = tmp_path / "till.pem"
    pem.write_bytes(trustme.CA().issue_cert("till.example").cert_chain_pems[0].bytes())
    terms = ("--permission", "push", "--permission", "pull", "--expires-days", "10", "--certificate", str(pem))
    made = told("add", "--device", till[1], "--name", "Gestionale", *terms, "--signed")
    assert (made["token"][:4], made["signing_secret"][:6]) == ("rnt_", "whsec_")
    stored = (tmp_path / "rientro.db").read_bytes()
    assert made["key_id"].encode() in stored
    assert made["token"][-64:].encode() not in stored
    assert made["signing_secret"].encode() not in stored
    (due,) = told("list", "--due")
    assert (due["key_id"], due["state"], due["signed"], len(due["certificate"])) == (made["key_id"], "good", True, 64)
    new = told("rotate", "--key", made["key_id"], "--overlap", "12h")
    assert new["signing_secret"] not in {None, made["signing_secret"]}
    assert told("revoke", "--key", made["key_id"], "--yes")["status"] == "revoked"
    listed = {key["key_id"]: key["state"] for key in told("list")}
    assert (listed[made["key_id"]], listed[new["key_id"]]) == ("revoked", "good")
    assert "Gestionale" in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("revoke", "--key", NONE, "--yes"), "no such key"),
        (("add", "--device", "{till}", "--name", "x", "--permission", "fly"), "A key may be given"),
        (("add", "--device", NONE, "--name", "x"), "no such device"),
        (("add", "--device", "{till}", "--name", "x", "--certificate", "none.pem"), "cannot be read"),
        (("rotate", "--key", NONE, "--overlap", "soon"), "write 7d or 12h"),
        (("rotate", "--key", NONE), "no such key"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, till: tuple[str, str], arguments: tuple[str, ...], says: str) -> None:
    """In one line."""
    code, output = run(*(argument.replace("{till}", till[1]) for argument in arguments))
    assert (code in {1, 2}, says in output, "Traceback" in output) == (True, True, False)
