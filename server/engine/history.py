"""A tenant's history: whether a cursor was issued in the one that stands here, and what follows where it was not.

Rules:

1. A reader that may have missed a collected tombstone (a range's `since` is below the horizon) is `behind`: it starts
   from nothing. This is asked before anything about marks, for those of that past are thinned out.
2. A cursor of another epoch is from `elsewhere`: it starts from nothing too.
3. A cursor of this epoch holds only where its mark exists and its place is not past the next mark's (else the head's).
   Where it does not, history was rewound: a file was copied back, a lagging replica promoted. A new epoch is drawn,
   under the tenant's lock and after a second look, with a mark and an alarm.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.cursor import Cursor, Mark

Standing = Literal["holds", "behind", "elsewhere", "rewound"]
"""What a cursor is worth."""

_HEAD = Statement(
    """SELECT seq, epoch, horizon,
       (SELECT m.seq FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT m.nonce FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT count(*) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq = :mark_seq AND m.nonce = :nonce),
       (SELECT min(m.seq) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq > :mark_seq),
       (SELECT c.last_mutation_id FROM clients AS c WHERE c.tenant_id = t.tenant_id AND c.client_id = :client_id)
       FROM tenants AS t WHERE tenant_id = :tenant_id"""
)
_NO_MARK = Mark(-1, "")


class Head(NamedTuple):
    """Where a tenant stands; what is said of a mark is about the cursor that was asked for."""

    seq: int
    epoch: str
    horizon: int
    mark: Mark
    mark_known: bool
    next_mark_seq: int | None
    last_mutation_id: int


async def read_head(tx: Tx, tenant_id: str, client_id: str, cursor: Cursor | None) -> Head:
    """The head as this transaction sees it. Raises UnknownTenantError."""
    mark = cursor.mark if cursor is not None else _NO_MARK
    named = {"tenant_id": tenant_id, "client_id": client_id, "mark_seq": mark.seq, "nonce": mark.nonce}
    rows = await tx.fetch(_HEAD, named)
    if not rows:
        raise UnknownTenantError
    seq, epoch, horizon, mark_seq, nonce, known, next_seq, last = rows[0]
    return Head(seq, epoch, horizon, Mark(mark_seq, nonce), bool(known), next_seq, last or 0)


def standing(cursor: Cursor, head: Head) -> Standing:
    """What a cursor is worth where this is the head."""
    if cursor.epoch != head.epoch:
        return "elsewhere"
    if any(part.since < head.horizon for part in cursor.ranges):
        return "behind"
    bound = head.seq if head.next_mark_seq is None else head.next_mark_seq
    furthest = max([part.seq for part in cursor.ranges] + [cursor.target or 0])
    return "holds" if head.mark_known and furthest <= bound else "rewound"


class History:
    """Draws epochs."""

    def __init__(self, writer: Writer, new_id: Callable[[], str]) -> None:
        """`new_id` gives ids that were never given before."""
        self._writer, self._new_id = writer, new_id

    async def renew(self, tenant_id: str, cursor: Cursor) -> None:
        """Draw a new epoch where the cursor shows a rewind, unless somebody was faster."""

        async def job(writing: Writing) -> None:
            tenant = writing.tenant(tenant_id)
            head = await read_head(writing.tx, tenant_id, tenant_id, cursor)
            if tenant.epoch == cursor.epoch and standing(cursor, head) == "rewound":
                tenant.epoch = self._new_id()

        await self._writer.submit(Job([tenant_id], job))
