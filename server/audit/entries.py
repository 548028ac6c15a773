"""The audit: who did what, or was refused it, kept beside what was done and in the same transaction.

Rules:

1. An entry is ids and stable words: no token, no body, no name. Where it came from is kept coarsely.
2. Nothing of it is ever changed, and nothing younger than a year taken away: the database sees to that itself.
3. What was done is noted in its own transaction: the one is not there without the other. What was refused has a
   transaction of its own, and is counted; where it cannot be kept, the refusal stands all the same.
"""

import ipaddress
from typing import Literal, NamedTuple

from server.ids import ordered
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

ActorKind = Literal["device", "person", "key", "operator", "system", "nobody"]
Outcome = Literal["done", "refused"]

_COLUMNS = (
    "tenant_id", "entry_id", "at", "action", "outcome", "reason", "actor_kind", "actor_id", "subject_kind",
    "subject_id", "origin", "correlation_id", "times",
)  # fmt: skip
_INSERT = Statement(
    f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608
)


class Actor(NamedTuple):
    """Who acts: its kind and id, and from where, coarsely."""

    kind: ActorKind
    id: str | None = None
    origin: str | None = None
    correlation_id: str | None = None


OPERATOR = Actor("operator")
"""Whoever runs the command line."""


class Entry(NamedTuple):
    """One line: what was done to what; `reason` is a stable word, `times` how often or to how many."""

    action: str
    actor: Actor
    subject_kind: str | None = None
    subject_id: str | None = None
    outcome: Outcome = "done"
    reason: str | None = None
    times: int = 1


async def note(writing: Writing, tenant_id: str, entry: Entry) -> None:
    """Add an entry in the transaction that does what it tells of."""
    await add_entry(writing.tx, tenant_id, entry, writing.now_ms)


async def add_entry(tx: Tx, tenant_id: str, entry: Entry, now_ms: int) -> None:
    """Add an entry; `now_ms` is since 1970."""
    actor = entry.actor
    row = (
        *(tenant_id, ordered(now_ms), encode_instant(now_ms), entry.action, entry.outcome, entry.reason),
        *(actor.kind, actor.id, entry.subject_kind, entry.subject_id, actor.origin, actor.correlation_id, entry.times),
    )
    await tx.execute(_INSERT, row)


def coarse(address: str | None) -> str | None:
    """The network somebody comes from: 24 bits of an address, or 48 of a long one; None where there is none."""
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    bits = 24 if known.version == 4 else 48  # noqa: PLR2004  # the Internet Protocol's two versions
    return str(ipaddress.ip_network((known, bits), strict=False))
