"""A tenant's history: whether a cursor was issued in the one that stands here, and what follows where it was not.

Rules:

1. A reader that may have missed a collected tombstone (a range's `since` is below the horizon) is `behind`: it starts
   from nothing. This is asked before anything about marks, for those of that past are thinned out.
2. A cursor of another epoch is from `elsewhere`: it starts from nothing too.
3. A cursor of this epoch holds only where its mark exists and its place is before the next mark's (else not past the
   head). A mark has a place of its own in the sequence, before the changes of its transaction.
   Where it does not, history was rewound: a file was copied back, a lagging replica promoted. A new epoch is drawn,
   under the tenant's lock and after a second look, with a mark and an alarm.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from server.engine.waiting import ENDED
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.cursor import Cursor, Mark

Standing = Literal["holds", "behind", "elsewhere", "rewound"]
"""What a cursor is worth."""

_HEAD = Statement(
    f"""SELECT seq, epoch, horizon,
       (SELECT m.seq FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT m.nonce FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT count(*) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq = :mark_seq AND m.nonce = :nonce),
       (SELECT min(m.seq) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq > :mark_seq),
       (SELECT c.last_mutation_id FROM clients AS c WHERE c.tenant_id = t.tenant_id AND c.client_id = :client_id
        AND c.device_id = :device_id),
       {ENDED},
       (SELECT c.safe_mutation_id FROM clients AS c WHERE c.tenant_id = t.tenant_id AND c.client_id = :client_id
        AND c.device_id = :device_id), revision
       FROM tenants AS t WHERE tenant_id = :tenant_id"""  # noqa: S608
)
_NO_MARK = Mark(-1, "")


class Head(NamedTuple):
    """Where a tenant stands; what is said of a mark is about the cursor that was asked for.

    `ended`: some of the client's mutations waited for their record, and do so no more.
    """

    seq: int
    epoch: str
    horizon: int
    mark: Mark
    mark_known: bool
    next_mark_seq: int | None
    last_mutation_id: int
    ended: bool
    safe_mutation_id: int
    revision: int


async def read_head(
    tx: Tx, tenant_id: str, cursor: Cursor | None, *, client_id: str | None = None, device_id: str | None = None
) -> Head:
    """The head as this transaction sees it, and how far a device's client came. Raises UnknownTenantError.

    Another device's client is like an unknown one: its number tells how much another shop sells.
    """
    mark = cursor.mark if cursor is not None else _NO_MARK
    named = {"tenant_id": tenant_id, "client_id": client_id, "device_id": device_id}
    rows = await tx.fetch(_HEAD, {**named, "mark_seq": mark.seq, "nonce": mark.nonce})
    if not rows:
        raise UnknownTenantError
    seq, epoch, horizon, mark_seq, nonce, known, next_seq, last, ended, safe, revision = rows[0]
    told = bool(ended and last)
    return Head(seq, epoch, horizon, Mark(mark_seq, nonce), bool(known), next_seq, last or 0, told, safe or 0, revision)


def standing(cursor: Cursor, head: Head) -> Standing:
    """What a cursor is worth where this is the head."""
    if cursor.epoch != head.epoch:
        return "elsewhere"
    if any(part.since < head.horizon for part in cursor.ranges):
        return "behind"
    bound = head.seq if head.next_mark_seq is None else head.next_mark_seq - 1
    return "holds" if head.mark_known and furthest(cursor) <= bound else "rewound"


def furthest(cursor: Cursor) -> int:
    """The greatest place a cursor speaks of."""
    return max([part.seq for part in cursor.ranges] + [cursor.target or 0])


class History:
    """Remembers where tenants stood when they were read last, and draws epochs."""

    def __init__(self, writer: Writer, new_id: Callable[[], str]) -> None:
        """`new_id` gives ids that were never given before."""
        self._writer, self._new_id = writer, new_id
        self._seen: dict[str, Head] = {}

    def saw(self, tenant_id: str, head: Head) -> None:
        """Note a head that was read, for `vouches` and for the writer."""
        self._seen[tenant_id] = head
        self._writer.saw(tenant_id, head.epoch, head.mark, head.seq)

    def vouches(self, tenant_id: str, cursor: Cursor) -> bool:
        """Whether the last head that was read shows that a cursor holds, without reading again.

        It does for a cursor of its own mark up to its own place: a mark that came later is at a place after it. Whether
        that head is still of the history that stands is the writer's to see, in the transaction that relies on it.
        """
        seen = self._seen.get(tenant_id)
        return (
            seen is not None and (seen.epoch, seen.mark) == (cursor.epoch, cursor.mark) and furthest(cursor) <= seen.seq
        )

    async def renew(self, tenant_id: str, cursor: Cursor) -> None:
        """Draw a new epoch where the cursor shows a rewind, unless somebody was faster."""

        async def job(writing: Writing) -> None:
            tenant = writing.tenant(tenant_id)
            head = await read_head(writing.tx, tenant_id, cursor)
            if tenant.epoch == cursor.epoch and standing(cursor, head) == "rewound":
                tenant.epoch = self._new_id()

        await self._writer.submit(Job([tenant_id], job))
