"""Pull: what changed since a cursor, in rounds of pages (`rounds`, `pages`).

Rules:

1. A cursor that is not worth anything here (`history`), forged or unreadable is answered by a reset with a first page.
2. Where a cursor shows that history was rewound, a new epoch is drawn before the answer, and the answer names it.
3. The page that ends a round whose target is still the head carries the digest of every bucket it was about: the reader
   has then exactly what is here.
4. Who pushes is looked at first, by the cursor sent along: what was seen in lost history must not count as seen. The
   last head that was read vouches for cursors of its own mark, so that this costs nothing where all is well.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.engine.history import Head, History, read_head, standing
from server.engine.pages import Pages
from server.engine.records import Records
from server.engine.rounds import completed, resume, unread
from server.engine.waiting import WaitingRoom
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.digests import read_digests
from sync.cursor import Bucket, Cursor, CursorKeys
from sync.errors import CursorError
from sync.protocol import MAX_PAGE, SyncRequest, Verdict


class Page(NamedTuple):
    """A page of changes, each already JSON text, and the cursor that goes with it."""

    epoch: str
    head: str
    last_mutation_id: int
    changes: list[str]
    cursor: str | None
    more: bool = False
    reset: bool = False
    dropped: Sequence[Bucket] = ()
    late: Sequence[Verdict] = ()
    safe_mutation_id: int = 0
    digest: Sequence[Mapping[str, str | int]] | None = None


class Puller:
    """Answers pulls."""

    def __init__(self, database: Database, records: Records, keys: CursorKeys, history: History) -> None:
        """`keys` authenticate the cursors."""
        self._database, self._records, self._keys, self._history = database, records, keys, history
        self._pages, self._room = Pages(records), WaitingRoom(records.registry.collections)

    async def pull(self, principal: Principal, request: SyncRequest, *, rewound: bool = False) -> Page:
        """The next page. Raises PrincipalMovedError, UnknownTenantError, DatabaseError."""
        given = None if rewound else self._decode(request.get("cursor"))
        page = await self._page(principal, request, given)
        if page is None and given is not None:
            await self._history.renew(principal.tenant_id, given)
            page = await self._page(principal, request, given)
        if page is None:  # it was rewound again meanwhile: the next pull is to see to that
            given = None
            page = await self._page(principal, request, given)
        assert page is not None
        return page._replace(reset=page.reset or (given is None and request.get("cursor") is not None))

    async def vouch(self, tenant_id: str, text: str | None) -> None:
        """See that a cursor is of the history that stands here; where it shows a rewind, a new epoch is drawn."""
        cursor = self._decode(text)
        if cursor is None or self._history.vouches(tenant_id, cursor):
            return

        async def work(tx: Tx) -> Head:
            return await read_head(tx, tenant_id, cursor)

        head = await self._database.read(work)
        self._history.saw(tenant_id, head)
        if standing(cursor, head) == "rewound":
            await self._history.renew(tenant_id, cursor)

    async def late(self, tenant_id: str, client_id: str) -> Sequence[Verdict]:
        """Final verdicts of what waited, for somebody who pulls nothing."""

        async def work(tx: Tx) -> Sequence[Verdict]:
            return await self._late(tx, tenant_id, client_id, None)

        return await self._database.read(work)

    async def _late(self, tx: Tx, tenant_id: str, client_id: str, cursor: Cursor | None) -> Sequence[Verdict]:
        """Those that the cursor does not show to have been taken in: it came with an answer that had them, too."""
        known = 0 if cursor is None else min(part.since for part in cursor.ranges)
        return await self._room.told(tx, tenant_id, client_id, known)

    def head_name(self, tenant_id: str, epoch: str, seq: int) -> str:
        """An opaque name for a place in a tenant's sequence."""
        return self._keys.head(tenant_id, epoch, seq)

    async def _page(self, principal: Principal, request: SyncRequest, given: Cursor | None) -> Page | None:
        """A page in one snapshot; None where the cursor shows that history was rewound."""
        tenant_id = principal.tenant_id
        wanted = self._buckets(principal, request.get("collections", ()))

        async def work(tx: Tx) -> tuple[Head, Page | None]:
            head = await read_head(tx, tenant_id, given, client_id=request["client_id"], device_id=principal.device_id)
            principal.check(head.revision)
            stands = "holds" if given is None else standing(given, head)
            if stands == "rewound":
                return head, None
            valid = given if stands == "holds" else None
            start, dropped = resume(valid, head, wanted, self._records.registry.schema)
            rows, reached = await self._pages.read(tx, tenant_id, start, request.get("limit", MAX_PAGE))
            more = unread(reached)
            at_head = bool(wanted) and not more and start.target == head.seq
            return head, Page(
                epoch=head.epoch,
                head=self.head_name(tenant_id, head.epoch, head.seq),
                last_mutation_id=head.last_mutation_id,
                changes=rows,
                cursor=self._keys.encode(reached if more else completed(reached, wanted)),
                more=more,
                reset=stands != "holds",
                dropped=dropped,
                safe_mutation_id=head.safe_mutation_id,
                late=await self._late(tx, tenant_id, request["client_id"], valid) if head.ended else (),
                digest=await _digest(tx, tenant_id, wanted) if at_head else None,
            )

        head, page = await self._database.read(work)
        self._history.saw(tenant_id, head)
        return page

    def _decode(self, text: str | None) -> Cursor | None:
        if text is None:
            return None
        try:
            return self._keys.decode(text)
        except CursorError:
            return None

    def _buckets(self, principal: Principal, names: Sequence[str]) -> frozenset[Bucket]:
        """What this caller may read of the collections it named; unknown names are nobody's business."""
        registry = self._records.registry
        known = [registry.collections[name] for name in names if name in registry.collections]
        scope = principal.scope()
        return frozenset(
            (c.name, audience)
            for c in known
            for audience in scope.of_kind(c.options.audience.kind, registry.narrowings)
        )


async def _digest(tx: Tx, tenant_id: str, wanted: frozenset[Bucket]) -> list[Mapping[str, str | int]]:
    sums = await read_digests(tx, tenant_id)
    return [{"collection": b[0], "audience": b[1], "sum": sums.get(b, 0)} for b in sorted(wanted)]


def bucket_names(buckets: Sequence[Bucket]) -> list[Mapping[str, str]]:
    """Buckets as the wire writes them."""
    return [{"collection": name, "audience": audience} for name, audience in buckets]
