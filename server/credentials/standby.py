"""Naming another account of the same provider as the one to go through when this one cannot be reached.

The other one must be a standby: an account that gets changes of its own as well would have two effects of each that
comes by way of this one. Fallbacks do not chain, so that nobody need follow a delivery further than once.
"""

from functools import partial

from server.audit import OPERATOR, Actor, Entry, note
from server.credentials.endpoints import EndpointError, Named
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_BOUND = Statement("SELECT 1 FROM bindings WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id LIMIT 1")
_CHAINED = Statement(
    """SELECT 1 FROM endpoints WHERE tenant_id = :tenant_id
       AND ((endpoint_id = :to AND fallback_id IS NOT NULL) OR fallback_id = :endpoint_id) LIMIT 1"""
)
_SET = Statement(
    """UPDATE endpoints SET fallback_id = :to, fallback_after_s = :after_s
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""
)


async def fall_back(
    writer: Writer, tenant_id: str, account: Named, to: Named, after_s: int, actor: Actor = OPERATOR
) -> None:
    """What waits `after_s` seconds for `account` while nobody is reached there goes to `to`. Raises EndpointError."""
    if account.provider != to.provider:
        raise EndpointError(
            f"{to.name} is at {to.provider}, not at {account.provider}: what goes there is not the same"
        )
    if account.endpoint_id == to.endpoint_id:
        raise EndpointError("an account is no fallback for itself")
    refusal = await writer.submit(Job([tenant_id], partial(_fall_back, tenant_id, (account, to), after_s, actor)))
    if refusal is not None:
        raise EndpointError(refusal)


async def fall_back_nowhere(writer: Writer, tenant_id: str, account: Named, actor: Actor = OPERATOR) -> None:
    """From now on what is for `account` waits for it; what went another way stays there."""
    named = {"tenant_id": tenant_id, "endpoint_id": account.endpoint_id, "to": None, "after_s": None}

    async def job(writing: Writing) -> None:
        await writing.tx.execute(_SET, named)
        await _note(writing, tenant_id, account, actor, "none")

    await writer.submit(Job([tenant_id], job))


async def _fall_back(
    tenant_id: str, pair: tuple[Named, Named], after_s: int, actor: Actor, writing: Writing
) -> str | None:
    account, to = pair
    writing.tenant(tenant_id)
    if await writing.tx.fetch(_BOUND, (tenant_id, to.endpoint_id)):
        return f"{to.name} gets changes of its own, and would have each twice: make a standby, `provider add --standby`"
    named = {"tenant_id": tenant_id, "endpoint_id": account.endpoint_id, "to": to.endpoint_id}
    if await writing.tx.fetch(_CHAINED, named):
        return "fallbacks do not chain: an account that is one has none, and one that has one is none"
    await writing.tx.execute(_SET, {**named, "after_s": after_s})
    await _note(writing, tenant_id, account, actor, to.endpoint_id)
    return None


async def _note(writing: Writing, tenant_id: str, account: Named, actor: Actor, to: str) -> None:
    await note(writing, tenant_id, Entry("endpoint.fallback", actor, "endpoint", account.endpoint_id, reason=to))
