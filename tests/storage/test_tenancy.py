"""No query without its tenant: every statement of the server names it, or is on the short list of those that may not.

Statements are found by importing everything and looking at what modules and the collections hold, so a new one cannot
be forgotten. What serves all tenants says so in its own text, `/* across tenants */`, and stands on the list here.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import server
from server.collections import registry
from server.engine.records import Records
from server.engine.tidy import LEFTOVERS
from server.storage.leftover import Leftover
from server.storage.statement import DialectName, Statement

MARK = "/* across tenants */"
DIALECTS: tuple[DialectName, ...] = ("sqlite", "postgresql")
ACROSS = {
    "server.auth.admin._ONLY",
    "server.auth.admin._TENANTS",
    "server.auth.admin._WITH_HANDLE",
    "server.auth.oidc.people._EVERYWHERE",
    "server.auth.outcasts._DEVICES",
    "server.auth.outcasts._INVITES",
    "server.auth.outcasts._KEYS",
    "server.auth.outcasts._PEOPLE",
    "server.auth.outcasts._SESSIONS",
    "server.inbox.due.DUE",
    "server.inbox.due.LAPSED",
    "server.auth.pairing._LIVE",
    "server.auth.pairing._TENANT_OF",
    "server.inbox.poll_due._DUE",
    "server.ops.backup.copies._TENANTS",
    "server.ops.accounts._ALL",
    "server.ops.accounts._ALL_ACCOUNTS",
    "server.ops.alerts.rows._CLAIM",
    "server.ops.alerts.rows._FORGET",
    "server.ops.endings._ALL",
    "server.ops.figures._BACKED_UP",
    "server.ops.figures._CONFLICTS",
    "server.ops.figures._UNRECONCILED",
    "server.ops.keys._ALL",
    "server.outbox.backfill.OPEN",
    "server.outbox.due.DUE",
    "server.outbox.fallback._NAMED",
    "server.privacy.ledger._EVERY",
    "server.webpush.notices._ANYBODY",
    "server.webpush.notifier._TENANTS",
    "server.reconcile.rows.BEHIND",
    "server.reconcile.worker.BEHIND",
}
_TOUCHES_A_TABLE = re.compile(r"\b(FROM|INTO|UPDATE)\s+[a-z_]+\b", re.IGNORECASE)
_NAMES_ITS_TENANT = re.compile(r"\btenant_id = |\bINSERT INTO [a-z_]+ \((?:[a-z_]+, )*tenant_id\b")
"""A condition on it, or a row that begins with it; merely selecting it is not enough."""


def _statements() -> Iterator[tuple[str, Statement]]:
    for found in pkgutil.walk_packages(server.__path__, "server."):
        if ".migrations" in found.name or found.name == "server.__main__":
            continue
        for name, value in vars(importlib.import_module(found.name)).items():
            parts = value if isinstance(value, tuple) else (value,)
            yield from ((f"{found.name}.{name}", part) for part in parts if isinstance(part, Statement))
    for name, sql in Records(registry()).sql.items():
        for part in ("load_statement", "insert_statement", "update_statement", "page_statement"):
            yield f"{name}.{part}", getattr(sql, part)
        yield from _of_leftover(sql.tombstones)
    for kind in LEFTOVERS:
        yield from _of_leftover(kind)


def _of_leftover(kind: Leftover) -> Iterator[tuple[str, Statement]]:
    for part in ("count", "find", "collect"):
        yield f"{kind.name}.{part}", getattr(kind, part)
    if kind.collect_beside is not None:
        yield f"{kind.name}.collect_beside", kind.collect_beside


def test_every_statement_names_its_tenant_or_is_on_the_list() -> None:
    """On both databases."""
    wrong = [
        (name, dialect)
        for name, statement in _statements()
        for dialect in DIALECTS
        if _TOUCHES_A_TABLE.search(text := statement.sql(dialect))
        and MARK not in text
        and not _NAMES_ITS_TENANT.search(text)
    ]
    assert wrong == []


def test_what_serves_all_tenants_says_so_and_is_a_short_list() -> None:
    """The relay's and the processor's look at what is due, and the operator's own list."""
    assert {name for name, statement in _statements() if MARK in statement.sql("sqlite")} == ACROSS
