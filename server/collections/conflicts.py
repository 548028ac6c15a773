"""Conflicts: what two people decided differently about one field, until a person says which it is.

One record for each (collection, record, field), under an id made of the three, so that the same quarrel never opens
twice. It lies in the bucket of its record, narrowed to the roles that may write the field. `current` is the value that
stayed, `candidates` those that did not; a decision is an ordinary mutation of `decision`: `mine` takes a candidate (the
newest, unless `candidate` names the uid of another), `theirs` keeps what stayed, `value` sets a third.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from server.collections.roles import CONFLICTS
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import AS_ITS_RECORD, SyncOptions
from sync.policy import LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, INSTANT, JSON, UUID, choice

STATUS = choice("open", "decided")
DECISION = choice("mine", "theirs", "value")


class Conflict(Synced, table=True):
    """An open question about a field, or the answer it got."""

    __tablename__ = "conflicts"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "conflicts", may=CONFLICTS, audience=AS_ITS_RECORD, schema=5, personal=("current", "candidates", "value")
    )

    collection: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    record_id: Annotated[str, UUID, SERVER_OWNED] = column(UUID)
    field: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    status: Annotated[str, STATUS, SERVER_OWNED] = column(STATUS)
    current: Annotated[Any, JSON, SERVER_OWNED] = column(JSON)
    candidates: Annotated[Any, JSON, SERVER_OWNED] = column(JSON)
    opened_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
    decision: Annotated[str | None, DECISION, LAST_WRITER] = column(DECISION, default=None, nullable=True)
    candidate: Annotated[str | None, UUID, LAST_WRITER] = column(UUID, default=None, nullable=True)
    value: Annotated[Any, JSON, LAST_WRITER] = column(JSON, default=None, nullable=True)
    decided_by: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    decided_at: Annotated[datetime | None, INSTANT, SERVER_OWNED] = column(INSTANT, default=None, nullable=True)
