"""Heads that were read here, by their newest marks: after a lost connection the database must still bear them out.

What was read last vouches for cursors without another look (`server.engine.history`). A database that is connected to
anew may be another one, grown past that head, so the first writing transaction looks for each head that somebody may
rely on.
"""

from typing import NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.cursor import Mark

# Marks below the horizon are thinned out: a head from there tells nothing.
_BORNE_OUT = Statement(
    """SELECT 1 FROM tenants AS t WHERE tenant_id = :tenant_id AND (horizon > :seq OR (
       EXISTS (SELECT 1 FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq = :mark_seq AND m.nonce = :nonce)
       AND NOT EXISTS (SELECT 1 FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq > :mark_seq AND m.seq <= :seq)
       ))"""
)


class _Known(NamedTuple):
    epoch: str
    mark: Mark
    seq: int


class Heads:
    """What was read of each tenant: the furthest head of the newest mark, and of the one that was newest before."""

    def __init__(self) -> None:
        """Nothing was read."""
        self._known: dict[str, tuple[_Known, ...]] = {}
        self._borne_out: set[str] = set()

    def saw(self, tenant_id: str, epoch: str, mark: Mark, seq: int) -> None:
        """A tenant was read at a head with this newest mark."""
        known = self._known.get(tenant_id, ())
        before = tuple(one for one in known if one.mark != mark)[-1:]
        same = [one.seq for one in known if one.mark == mark]
        self._known[tenant_id] = (*before, _Known(epoch, mark, max([seq, *same])))

    def doubt(self) -> None:
        """The database may be another one than that which was read."""
        self._borne_out.clear()

    async def lost(self, tx: Tx, tenant_id: str, epoch: str) -> bool:
        """Whether a locked tenant's history is another one than was read in this epoch; looked up only in doubt."""
        for one in () if tenant_id in self._borne_out else self._known.get(tenant_id, ()):
            named = {"tenant_id": tenant_id, "seq": one.seq, "mark_seq": one.mark.seq, "nonce": one.mark.nonce}
            if one.epoch == epoch and not await tx.fetch(_BORNE_OUT, named):
                return True
        return False

    def settled(self, tenant_id: str) -> None:
        """A transaction that looked was committed."""
        self._borne_out.add(tenant_id)
