"""What wants a person, read off the figures. Pure: the time is brought along."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from server.ops.accounts import Account
from server.ops.integrations import POLLS_DOWN, failing_s
from sync.clock import decode_instant

Kind = Literal[
    "failing",  # deliveries to an account, or polls of it, have been failing for a while; value: minutes
    "stuck",  # something at an account was given up and waits for a person; value: how many
    "silent",  # an account was not reached and told nothing for a day; value: hours
    "closing",  # closings or receipt numbers have not added up for a while; value: how many
    "alarm",  # a log line that wants a person; value: how many since it was first seen
]

_SELDOM = frozenset(("webpush",))
"""Accounts that nothing is sent to for days: that nothing was heard of them says nothing."""
SILENT_MS = 24 * 60 * 60 * 1000


class Seen(NamedTuple):
    """One thing that wants a person. `subject` is an account's id, the event of a log line, or `closings`."""

    tenant_id: str
    kind: Kind
    subject: str
    value: int


def conditions(accounts: Sequence[Account], now_ms: int, failing_after_ms: int) -> list[Seen]:
    """What wants a person at accounts that nobody paused."""
    awake = (account for account in accounts if not account.paused)
    return [seen for account in awake for seen in _of(account, now_ms, failing_after_ms)]


def _of(account: Account, now_ms: int, failing_after_ms: int) -> Iterable[Seen]:
    def seen(kind: Kind, value: int) -> Seen:
        return Seen(account.tenant_id, kind, account.endpoint_id, value)

    failing = failing_s(account, now_ms)
    if failing * 1000 >= failing_after_ms or account.poll_failures >= POLLS_DOWN:
        yield seen("failing", int(failing // 60))
    stuck = sum(account.stuck.values())
    if stuck:
        yield seen("stuck", stuck)
    if account.provider in _SELDOM:
        return
    silent_ms = now_ms - decode_instant(account.in_contact_at or account.created_at)
    if silent_ms >= SILENT_MS:
        yield seen("silent", silent_ms // (60 * 60 * 1000))


def unreconciled(counts: Iterable[tuple[str, int]]) -> list[Seen]:
    """Tenants whose closings do not add up; it is over when they do, or a person put them aside."""
    return [Seen(tenant_id, "closing", "closings", count) for tenant_id, count in counts]
