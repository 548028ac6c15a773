"""Nothing that changes something is forgotten: every command and every route is run, and the audit looked at.

A command or route that nobody here knows fails: say what it notes, or that it changes nothing a person decides about.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import typer.main
from typer.testing import CliRunner

from server.audit import OPERATOR
from server.auth.people import NewPerson
from server.cli import main
from server.collections import registry
from server.routes.api import operations
from server.settings import Settings
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.privacy.file import NOTE, PERSON, SECRET, File, open_file, tell
from tests.support.logged import logged
from tests.support.shop import sale_fields

READS = frozenset((
    "tenant list", "device list", "provider list", "provider kinds", "provider test", "provider key list",
    "provider key due", "outbox list", "outbox show", "outbox preview", "inbox list", "inbox show", "rejected list",
    "rejected show", "superseded list", "person list", "key list", "provider bindings", "holes list", "trace",
    "audit list", "audit export", "webpush list", "webpush keys",
    "closures list", "closures show",
))  # fmt: skip
"""They show, and change nothing."""
RUNS = frozenset(("serve", "relay", "migrate", "tidy"))
"""They do what the program is for, by rules that nobody decides about when they run."""
DONE_BY_SYNC = frozenset(
    (
        *("/v1/sync", "/v1/webhooks/{provider}/{address}", "/v1/soap/{provider}/{address}"),
        *("/v1/auth/refresh", "/v1/auth/sign-out"),
    )
)
"""What clients and providers say is kept whole in tables of its own; sessions have tests of their own."""
SIGN_IN = frozenset(
    f"/v1/auth/{path}"
    for path in (
        *("setup", "password", "password/change", "pair", "passkeys", "passkeys/options", "passkeys/{credential_id}"),
        *("passkey/options", "passkey/sign-in"),
    )
)
"""Ceremonies: `tests/auth` and `tests/http` go through them, and look at what they note."""
BY_DEVICES = frozenset(("/v1/webpush/subscription",))
"""What a device does with its own browser: `tests/http/test_webpush.py` looks at what it notes."""


@dataclass
class Case:
    """A command and the action it must leave in the audit. `given` is piped in, `set` is SQL that comes first."""

    action: str
    arguments: Callable[["Desk"], Sequence[str]]
    given: str | None = None
    set: str = ""


@dataclass
class Desk:
    """A folder with a shop in it, and what commands name there."""

    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    def run(self, *arguments: str, given: str | None = None) -> str:
        """A command, in this process."""
        with ThreadPoolExecutor(1) as thread:  # in this one the tests' own loop may be at rest in the middle of a run
            result = thread.submit(CliRunner().invoke, main, arguments, given, self.environment()).result()
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.stdout

    def environment(self) -> dict[str, str]:
        """Nothing set that the test did not set."""
        return {"RIENTRO_DATA": str(self.folder), "RIENTRO_PUBLIC_URL": "https://shop.example", "COLUMNS": "200"}

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        """Rows of the database."""
        connection = sqlite3.connect(self.folder / "rientro.db")
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()


def _of(*words: str, also: Sequence[str] = ()) -> Callable[[Desk], Sequence[str]]:
    """Words, each `@name` what the desk has under that name, and the tenant."""
    return lambda desk: [
        desk.names.get(word.removeprefix("@"), word) for word in (*words, "--tenant", "@tenant", *also)
    ]


_DEAD = "UPDATE outbox SET state = 'dead', holds = true, settled_at = NULL"
_WAITING = "UPDATE outbox SET state = 'pending', holds = true, attempts = 0, ambiguous = false"
CASES: dict[str, Case] = {
    "tenant add": Case("tenant.add", lambda _: ["Bar Nuovo"]),
    "device add": Case("device.add", _of("--name", "Cassa 9", "--role", "terminal")),
    "key add": Case("key.add", _of("--device", "@device", "--name", "Gestionale")),
    "key rotate": Case("key.rotate", _of("--key", "@key")),
    "key revoke": Case("key.revoke", _of("--key", "@key", "--yes")),
    "device revoke": Case("device.revoke", _of("--device", "@device", "--yes")),
    "provider add": Case(
        "endpoint.add",
        _of("--provider", "http", "--name", "Due", "--set", "url=https://example.org", "--set", "secret=-"),
        given=SECRET,
    ),
    "provider pause": Case("endpoint.pause", _of("@endpoint")),
    "provider resume": Case("endpoint.resume", _of("@endpoint")),
    "provider bind": Case("binding.add", _of("--endpoint", "@endpoint", "--route", "sales.forward")),
    "provider fallback": Case("endpoint.fallback", _of("@endpoint", "@standby")),
    "setup": Case("person.invite", lambda _: ["--name", "Bar Ultimo"]),
    "person add": Case("person.add", _of("--name", "Anna")),
    "person invite": Case("person.invite", _of("--person", "@person")),
    "person disable": Case("person.disable", _of("--person", "@person")),
    "person enable": Case("person.enable", _of("--person", "@person")),
    "provider connect": Case("consent.begin", _of("--endpoint", "@oauth")),
    "provider key set": Case(
        "secret.set", _of("--endpoint", "@oauth", "--name", "secret", "--next", "-"), given=SECRET
    ),
    "secrets rotate": Case("master_key.rotate", lambda _: []),
    "secrets drop-old": Case("master_key.drop_old", lambda _: ["--yes"]),
    "outbox redrive": Case("delivery.redrive", _of("--yes"), set=_DEAD),
    "outbox let-pass": Case("delivery.let_pass", _of("@delivery"), set=_DEAD),
    "outbox redirect": Case("delivery.redirect", _of("@delivery", "--to", "@standby"), set=_WAITING),
    "outbox cancel": Case("delivery.cancel", _of("@delivery"), set=_WAITING),
    "inbox recall": Case("event.recall", _of()),
    "inbox replay": Case("event.replay", _of("@event")),
    "rejected resend": Case("mutation.resend", _of("@broken", "--set", "name=Anna")),
    "rejected dismiss": Case("mutation.dismiss", _of("@wrong")),
    "customer export": Case("customer.export", _of("--customer", "@customer")),
    "customer erase": Case("customer.erase", _of("--customer", "@customer", "--reason", "request", "--yes")),
    "webpush rotate-key": Case("webpush.rotate_key", _of()),
    "backup": Case("backup.make", lambda desk: [str(desk.folder / "copy")]),
    "restore": Case("backup.restore", lambda desk: [str(desk.folder / "copy"), "--yes"]),
}


@pytest.fixture
def desk(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A shop with something of everything, and nobody at work."""
    assert sqlite_url.endswith(str(tmp_path / "rientro.db"))
    desk = Desk(tmp_path)
    with logged("CRITICAL"):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(anyio.run, _fill, desk).result()
        yield desk


async def _fill(desk: Desk) -> None:
    async with open_file(Settings(data=desk.folder, relay=False)) as file:
        await tell(file, {"type": "sale.created", "timestamp": "2025-11-24T10:00:00.000Z", "data": {"id": PERSON}})
        oauth = {
            "url": "https://example.org/x",
            "secret": SECRET,
            "oauth_grant": "authorization_code",
            "oauth_authorize_url": "https://example.org/authorize",
            "oauth_token_url": "https://example.org/token",
            "oauth_client_id": "us",
        }
        endpoint = await file.core.endpoints.add(file.tenant_id, "http", "Con consenso", oauth)
        plain = {"url": "https://example.org/x", "secret": SECRET}
        standby = await file.core.endpoints.add(file.tenant_id, "http", "Riserva", plain, standby=True)
        person = await file.core.access.people.add(file.tenant_id, NewPerson("Anna", "clerk", "centro"), OPERATOR)
        desk.names |= {"standby": standby.endpoint_id, "person": person}
        till = await file.core.admin.add_device(file.tenant_id, "Cassa 2", "terminal", "centro")
        desk.names |= {"oauth": endpoint.endpoint_id, "device": till.device_id}
        desk.names |= {"tenant": file.tenant_id, "customer": file.customer}
        desk.heard += [file.token, till.token]
    for name, sql in (
        ("endpoint", "SELECT endpoint_id FROM endpoints WHERE name = 'Contabile'"),
        ("delivery", "SELECT delivery_id FROM outbox"),
        ("event", "SELECT receipt_id FROM inbox"),
        ("broken", "SELECT uid FROM rejected WHERE code = 'invalid'"),
        ("wrong", "SELECT uid FROM rejected WHERE code = 'rule_broken'"),
        ("key", f"SELECT key_id FROM keys WHERE device_id = '{desk.names['device']}'"),  # noqa: S608  # our own id
    ):
        desk.names[name] = desk.rows(sql)[0][0]


def _commands(command: Any, path: str = "") -> Iterator[str]:
    """The names of all commands there are, below a group or a command."""
    within = getattr(command, "commands", None)
    if within is None:
        yield path
        return
    for name, one in within.items():
        yield from _commands(one, f"{path} {name}".strip())


def _noted(desk: Desk) -> int:
    return int(desk.rows("SELECT count(*) FROM audit")[0][0])


def test_every_command_that_changes_something_is_noted(desk: Desk) -> None:
    """And in no entry, listed or exported, is a token, a name, a body or an address."""
    known = {*READS, *RUNS, *CASES}
    assert {*_commands(typer.main.get_command(main))} - known == set(), "say what it notes, or why it need not"
    for command, case in CASES.items():
        if case.set:
            desk.rows(case.set)
        before = {row[0] for row in desk.rows("SELECT entry_id FROM audit")}
        desk.heard.append(desk.run(*command.split(), *case.arguments(desk), given=case.given))
        after = desk.rows("SELECT entry_id, action, actor_kind FROM audit")
        new = {(action, actor) for entry_id, action, actor in after if entry_id not in before}
        assert (command, (case.action, "operator") in new) == (command, True)
    told = [
        desk.run("audit", "export", "--tenant", desk.names["tenant"], "--format", name) for name in ("jsonl", "csv")
    ]
    told.append(desk.run("audit", "list", "--tenant", desk.names["tenant"], "--json", "--limit", "1000"))
    lines = [json.loads(line) for line in told[0].splitlines()]
    assert len(lines) == len(told[1].splitlines()) - 1 == len(json.loads(told[2]))
    for secret in (
        *desk.heard[:2],
        PERSON,
        NOTE,
        "CANARY",
        "Bar Centrale",
        "Cassa",
        "Anna",
        "127.0.0.1",
        "example.org",
    ):
        assert [secret in text for text in told] == [False] * 3


@pytest.fixture
async def file(sqlite_url: str, tmp_path: Path) -> AsyncIterator[File]:
    """The same, served."""
    assert sqlite_url
    async with open_file(Settings(data=tmp_path, relay=False)) as opened:
        yield opened


async def test_every_route_that_changes_something_is_noted(file: File) -> None:
    """By the device that asked; a refused one is noted within a minute."""
    wrong = file.mutation("sales", file.new_id(), "create", fields=sale_fields(5, total="9.99"))
    await file.sync(wrong)
    rejected = (await file.call("GET", "/v1/rejected")).json()["rejected"]
    broken = next(one["uid"] for one in rejected if one["code"] == "invalid")
    asked: dict[str, tuple[str, dict[str, str], Any]] = {
        "/v1/rejected/{uid}/resend": ("mutation.resend", {"uid": broken}, {"fields": {"name": "Anna"}}),
        "/v1/rejected/{uid}/dismiss": ("mutation.dismiss", {"uid": wrong["uid"]}, None),
        "/v1/customers/{customer_id}/erase": (
            "customer.erase",
            {"customer_id": file.customer},
            {"reason": "request", "dry_run": False},
        ),
    }
    person = await file.core.access.people.add(file.tenant_id, NewPerson("Anna", "clerk", "centro"), OPERATOR)
    till = await file.core.admin.add_device(file.tenant_id, "Cassa 2", "terminal", "centro")
    key = next(one for one in await file.core.access.keys.list(file.tenant_id) if one.device_id == till.device_id)
    asked |= {
        "/v1/people": ("person.invite", {}, {"name": "Anna", "role": "clerk", "shop": "centro"}),
        "/v1/people/{person_id}/invite": ("person.invite", {"person_id": person}, None),
        "/v1/people/{person_id}": ("person.change", {"person_id": person}, {"role": "terminal"}),
        "/v1/auth/pairings": ("device.invite", {}, {"device_name": "Cassa", "role": "terminal", "shop": "centro"}),
        "/v1/keys": ("key.add", {}, {"device_id": till.device_id, "name": "Gestionale"}),
        "/v1/keys/{key_id}/rotate": ("key.rotate", {"key_id": key.key_id}, {}),
        "/v1/keys/{key_id}/revoke": ("key.revoke", {"key_id": key.key_id}, None),
        "/v1/devices/{device_id}": ("device.revoke", {"device_id": till.device_id}, None),
    }
    told = {"type": "sale.created", "timestamp": "2025-11-24T10:00:00.000Z", "data": {"id": PERSON}}
    await tell(file, told)
    deliveries = (await file.call("GET", "/v1/operations/deliveries")).json()["deliveries"]
    events = (await file.call("GET", "/v1/operations/events")).json()["events"]
    await _make_stuck(file)
    asked |= {
        "/v1/operations/deliveries/{delivery_id}/let-pass": (
            "delivery.let_pass",
            {"delivery_id": deliveries[0]["delivery_id"]},
            None,
        ),
        "/v1/operations/deliveries/redrive": ("delivery.redrive", {}, {"ids": [deliveries[0]["delivery_id"]]}),
        "/v1/operations/events/replay": ("event.replay", {}, {"ids": [events[0]["receipt_id"]]}),
    }
    methods = {one.path: one.method for one in operations(registry()) if one.method != "GET"}
    ended = "/v1/people/{person_id}/sessions/{session_id}"  # as a sign-out is
    assert methods.keys() - DONE_BY_SYNC - SIGN_IN - BY_DEVICES - {ended} == set(asked), (
        "say what it notes, or why it need not"
    )
    for path, (action, names, body) in asked.items():
        answer = await file.call(methods[path], path.format(**names), json=body)
        assert answer.status_code == 200, answer.text
        (entry, *_) = (await file.call("GET", "/v1/audit")).json()["audit"]
        assert (entry["action"], entry["actor_kind"]) == (action, "device")
        assert len(entry["correlation_id"]) == 32
    audit = (await file.call("GET", "/v1/audit?limit=1000")).text
    assert [word for word in (PERSON, NOTE, file.token, "Anna", "Ufficio", "Bar Centrale") if word in audit] == []


async def _make_stuck(file: File) -> None:
    async def job(writing: Writing) -> None:
        await writing.tx.execute(Statement(f"/* across tenants */ {_DEAD}"))
        await writing.tx.execute(Statement("/* across tenants */ UPDATE inbox SET state = 'dead'"))

    await file.core.writer.submit(Job([file.tenant_id], job))
