"""Which endpoints are to be polled, and from when: the longest due first, and not all of them in one go."""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic_core import to_json

from server.inbox.accounts import Address, Endpoint
from server.resilience.entry import Look
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.clock import decode_instant

MOST = 200
"""So many endpoints are looked at in one go."""

# Polls serve all tenants: one of the few queries across them. Endpoints never polled come first.
# Those last polled in another epoch are due as if they never had been.
_DUE_TEXT = """/* across tenants */ SELECT e.tenant_id, e.endpoint_id, e.provider, e.settings, e.sealed,
         CASE WHEN p.epoch = t.epoch THEN p.next_poll_at END AS due_at, p.leased_until, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id)
       FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
       LEFT JOIN polls AS p ON p.tenant_id = e.tenant_id AND p.endpoint_id = e.endpoint_id
       WHERE NOT e.paused AND e.provider {providers} AND e.endpoint_id {put_off}
       ORDER BY (CASE WHEN p.epoch = t.epoch THEN 1 ELSE 0 END), p.next_poll_at LIMIT :most"""
_DUE = Statement(
    _DUE_TEXT.format(
        providers="IN (SELECT value FROM json_each(:providers))",
        put_off="NOT IN (SELECT value FROM json_each(:put_off))",
    ),
    postgresql=_DUE_TEXT.format(
        providers="= ANY (ARRAY (SELECT json_array_elements_text(:providers::json)))",
        put_off="<> ALL (ARRAY (SELECT json_array_elements_text(:put_off::json))::uuid[])",
    ),
)


class DuePoll(NamedTuple):
    """An endpoint whose polls are due at `due_ms`; `is_first` where only its gate, a lease or a wish puts that off."""

    address: Address
    endpoint: Endpoint
    due_ms: int
    is_first: bool


async def due_polls(tx: Tx, look: Look, providers: Iterable[str], apart: Iterable[str]) -> list[DuePoll]:
    """Up to MOST endpoints of these providers, but for those `apart`; more than are due, so that the next is known."""
    named = {"providers": to_json(sorted(providers)).decode(), "put_off": to_json(list(apart)).decode()}
    found: list[DuePoll] = []
    for *address, provider, settings, sealed, due_at, leased_until, not_before, ready_ms in await tx.fetch(
        _DUE, {**named, "most": MOST}
    ):
        asked_ms = 0 if due_at is None else decode_instant(due_at)
        held = [decode_instant(at) for at in (leased_until, not_before) if at is not None]
        due_ms = max([look.believed_ms(ready_ms or 0, provider, settings), asked_ms, *held])
        endpoint = Endpoint(provider, settings, sealed)
        found.append(DuePoll(Address(*address), endpoint, due_ms, asked_ms <= look.now_ms))
    return found
