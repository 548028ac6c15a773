"""What is good once: noted when it is used, and forgotten when it would be too old anyway."""

from server.auth.tokens import hash_secret
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

_SPEND = Statement(
    """INSERT INTO spent (tenant_id, what_hash, expires_at) VALUES (:tenant_id, :what_hash, :expires_at)
       ON CONFLICT DO NOTHING"""
)
_FORGET = Statement("DELETE FROM spent WHERE tenant_id = :tenant_id AND expires_at < :now")


async def spend(writing: Writing, tenant_id: str, what: str, expires_ms: int) -> bool:
    """Use something up; False where that was done before. `expires_ms`, since 1970: when it is refused for its age."""
    await writing.tx.execute(_FORGET, {"tenant_id": tenant_id, "now": writing.now})
    named = {"tenant_id": tenant_id, "what_hash": hash_secret(what), "expires_at": encode_instant(expires_ms)}
    return await writing.tx.execute(_SPEND, named) == 1
