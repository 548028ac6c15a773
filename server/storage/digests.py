"""The digests of a tenant's buckets, kept by whoever writes, in the transaction that changes the records."""

from collections.abc import Mapping

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.cursor import Bucket
from sync.digest import MASK

_ADD = Statement(
    f"""INSERT INTO digests (tenant_id, collection, audience, sum) VALUES (:tenant_id, :collection, :audience, :delta)
       ON CONFLICT (tenant_id, collection, audience) DO UPDATE SET sum = (digests.sum + excluded.sum) & {MASK}"""  # noqa: S608  # a constant
)
_READ = Statement("SELECT collection, audience, sum FROM digests WHERE tenant_id = :tenant_id")


async def add_to_digests(tx: Tx, tenant_id: str, deltas: Mapping[Bucket, int]) -> None:
    """Add what changed in each bucket; a negative difference is added modulo 2^52."""
    await tx.many(_ADD, [(tenant_id, *bucket, delta & MASK) for bucket, delta in deltas.items()])


async def read_digests(tx: Tx, tenant_id: str) -> dict[Bucket, int]:
    """Every bucket's; one that nothing was ever written to is not there."""
    return {(name, audience): int(total) for name, audience, total in await tx.fetch(_READ, (tenant_id,))}
