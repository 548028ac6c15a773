"""Files that events bring, kept whole by the hash of their content: the same file twice is one row."""

from collections.abc import Sequence
from hashlib import sha256

from server.storage.statement import Statement
from server.storage.writer import Writing

_KNOWN = Statement("SELECT 1 FROM files WHERE tenant_id = :tenant_id AND sha256 = :sha256")
_KEEP = Statement(
    """INSERT INTO files (tenant_id, sha256, size, content, stored_at)
       VALUES (:tenant_id, :sha256, :size, :content, :now) ON CONFLICT (tenant_id, sha256) DO NOTHING"""
)


async def keep_files(writing: Writing, tenant_id: str, contents: Sequence[bytes]) -> None:
    """Store what is not here yet, in somebody's job; a content that is known is not sent to the database again."""
    for content in contents:
        named = {"tenant_id": tenant_id, "sha256": sha256(content).hexdigest()}
        if not await writing.tx.fetch(_KNOWN, named):
            await writing.tx.execute(_KEEP, {**named, "size": len(content), "content": content, "now": writing.now})
