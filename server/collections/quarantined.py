"""What somebody told us and nobody could use, for the owner: an invoice that cannot be read, and why.

The server writes it when an event ends in quarantine, and takes it away when the event comes to a good end after all.
What was told stays raw in the inbox, whatever happens here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar

from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import Audience, Op, SyncOptions
from sync.policy import LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, FLAG, INSTANT, UUID, text

QUARANTINED = "quarantined"
FOR_OWNERS = Audience("role", lambda _fields: "role:owner")
MARKED_BY_OWNERS: Mapping[str, frozenset[Op]] = {"owner": frozenset(("update",))}


class Quarantined(Synced, table=True):
    """An event that waits for a person. `code` is a stable word, `reason` says more and quotes nothing of it."""

    __tablename__ = QUARANTINED
    sync: ClassVar[SyncOptions] = SyncOptions(QUARANTINED, may=MARKED_BY_OWNERS, audience=FOR_OWNERS, schema=6)

    provider: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    receipt_id: Annotated[str, UUID, SERVER_OWNED] = column(UUID)
    code: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    reason: Annotated[str, text(500), SERVER_OWNED] = column(text(500))
    received_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
    file_name: Annotated[str | None, text(255), SERVER_OWNED] = column(text(255), default=None, nullable=True)
    sdi_id: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    read: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
