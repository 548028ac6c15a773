"""`rientro provider pause, resume, fallback, test, kinds` and `outbox preview, redirect`, in this process."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner

from server.app import open_core
from server.cli import main
from server.outbox.draft import COLUMNS, INSERT
from server.settings import Settings
from server.storage.writer import Job, Writing
from tests.support.receiver import SECRET

DELIVERY = "0192f0c1-0000-8000-8000-0000000000d1"
RECORD = "0192f0c1-0000-7000-8000-0000000000a1"
AT = "2026-11-24T10:00:00.000Z"
URL = "https://name.invalid/in"

Run = Callable[..., tuple[int, str]]


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread of its own: a command makes its own event loop, and the tests' may be in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function, *arguments).result()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on a folder where a merchant has an account, a standby and one delivery; its exit code and output."""
    monkeypatch.setenv("RIENTRO_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("server.cli.common.set_up_logs", lambda _level: None)
    tenant_id = alone(anyio.run, _set_up, Settings(data=tmp_path))

    def command(*arguments: str) -> tuple[int, str]:
        done = alone(CliRunner().invoke, main, [*arguments, "--tenant", tenant_id])
        return done.exit_code, done.output

    return command


async def _set_up(settings: Settings) -> str:
    async with open_core(settings) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        values = {"url": URL, "secret": SECRET}
        account = await core.endpoints.add(tenant_id, "http", "Ufficio", values)
        await core.endpoints.add(tenant_id, "http", "Riserva", values, standby=True)
        await core.endpoints.add(tenant_id, "pos", "Chiosco", {"shop": "centro", "secret": SECRET})
        await core.writer.submit(Job([tenant_id], lambda writing: _deliver(writing, account.endpoint_id, tenant_id)))
    return tenant_id


async def _deliver(writing: Writing, endpoint_id: str, tenant_id: str) -> None:
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {"attempts": 0, "failures": 0, "fence": 0} | {
        "tenant_id": tenant_id, "delivery_id": DELIVERY, "endpoint_id": endpoint_id, "route": "sales.forward",
        "operation": "post", "collection": "sales", "record_id": RECORD, "sequence": 1, "uid": RECORD,
        "payload": '{"type":"sales.created"}', "idempotency_key": "rnt_1", "correlation_id": "corr-1",
        "state": "pending", "holds": True, "ambiguous": False, "next_attempt_at": AT, "created_at": AT,
    }  # fmt: skip
    await writing.tx.execute(INSERT, row)


def account(run: Run, name: str) -> dict[str, Any]:
    """A line of `provider list`."""
    (line,) = [one for one in json.loads(run("provider", "list", "--json")[1]) if one["name"] == name]
    return dict(line)


def test_an_account_is_paused_and_resumed_by_name(run: Run) -> None:
    """The list shows it; once more changes nothing."""
    assert run("provider", "pause", "Ufficio")[1].startswith("Paused")
    assert account(run, "Ufficio")["paused"]
    assert run("provider", "pause", account(run, "Ufficio")["endpoint_id"])[1].startswith("It was paused")
    assert run("provider", "resume", "Ufficio")[1].startswith("Resumed")
    assert not account(run, "Ufficio")["paused"]
    assert run("provider", "pause", "Nobody") == (
        1,
        "error: there is no account 'Nobody' here: see `rientro provider list`\n",
    )


def test_a_trial_ends_with_1_where_a_step_fails(run: Run) -> None:
    """And says which, for people and for programs."""
    code, said = run("provider", "test", "Ufficio", "--json")
    steps = json.loads(said)
    assert (code, steps[-1]["step"], steps[-1]["result"]) == (1, "connection", "failed")
    code, said = run("provider", "test", "Chiosco")
    assert (code, "cannot be asked" in said) == (0, True)


def test_a_fallback_is_named_and_taken_back(run: Run) -> None:
    """An account with changes of its own is none."""
    assert run("provider", "fallback", "Ufficio", "Riserva", "--after", "60")[0] == 0
    assert account(run, "Ufficio")["fallback_id"] == account(run, "Riserva")["endpoint_id"]
    assert "no fallback for itself" in run("provider", "fallback", "Riserva", "Riserva")[1]
    assert run("provider", "fallback", "Ufficio")[0] == 1
    assert run("provider", "fallback", "Ufficio", "--none")[0] == 0
    assert account(run, "Ufficio")["fallback_id"] is None
    assert "not at http" in run("provider", "fallback", "Ufficio", "Chiosco")[1]


def test_a_delivery_is_looked_at_and_sent_another_way(run: Run) -> None:
    """What is shown has no secret in it; what is redirected keeps its key."""
    code, said = run("outbox", "preview", DELIVERY)
    assert (code, f"POST {URL}" in said, '{"type":"sales.created"}' in said, SECRET in said) == (0, True, True, False)
    assert "Nothing was sent. The delivery is pending" in said
    assert run("outbox", "redirect", DELIVERY, "--to", "Chiosco")[0] == 1
    assert run("outbox", "redirect", DELIVERY, "--to", "Riserva")[1].startswith("1 on their way")
    shown = json.loads(run("outbox", "show", DELIVERY, "--json")[1])
    ids = account(run, "Riserva")["endpoint_id"], account(run, "Ufficio")["endpoint_id"]
    assert (shown["endpoint_id"], shown["origin_id"], shown["idempotency_key"]) == (*ids, "rnt_1")


def test_a_preview_of_what_could_not_be_sent_ends_with_1(run: Run) -> None:
    """An account whose provider has no such operation."""
    code, said = run("outbox", "preview", DELIVERY, "--to", "Chiosco", "--json")
    assert (code, json.loads(said)["code"]) == (1, "no_such_operation")


def test_modules_with_providers_are_named_once_and_must_have_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Said in a line, before anything is opened."""
    monkeypatch.setenv("RIENTRO_DATA", str(tmp_path))
    monkeypatch.setattr("server.cli.common.set_up_logs", lambda _level: None)
    for modules, says in (
        ("no_such_module", "cannot be imported"),
        ("json", "json has no PROVIDER"),
        ("tests.cli.a_provider,tests.cli.a_provider", "two providers are named http"),
    ):
        monkeypatch.setenv("RIENTRO_PROVIDERS", modules)
        done = alone(CliRunner().invoke, main, ["provider", "kinds"])
        assert (done.exit_code, says in done.output) == (1, True), done.output
