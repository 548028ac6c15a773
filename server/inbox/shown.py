"""What waits in quarantine, shown to the owner in the feed: a record while the event waits, gone when it does not.

It is written by the server in the transaction that ends the event, under an id made of the event's, so that an event
that ends in quarantine again is the same record, with the newer reason.
"""

from typing import Any

from server.collections.quarantined import QUARANTINED
from server.ids import derived
from server.inbox.claim import Claimed
from server.inbox.decide import FINISHED, Ending
from server.inbox.handle import Result
from server.ports import Applying, Cause
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.protocol import Mutation, Registry, Unusable

AUTHOR = "system:quarantine"
_VERSION = Statement("SELECT version, deleted FROM quarantined WHERE tenant_id = :tenant_id AND id = :record_id")


class Showing:
    """Keeps the collection `quarantined` true to the inbox."""

    def __init__(self, registry: Registry, applying: Applying) -> None:
        """Both are shared with the rest of the process."""
        self._registry, self._applying = registry, applying

    async def ended(self, claimed: Claimed, ending: Ending, result: Result, writing: Writing) -> None:
        """An event came to an end: show it, or take away what was shown. A failure leaves it as it was."""
        quarantined = ending.state == "quarantined"
        if not (quarantined or (ending.state in FINISHED and claimed.attempt > 1)):
            return
        record_id = derived("record", QUARANTINED, claimed.receipt_id)
        known = await writing.tx.fetch(_VERSION, {"tenant_id": claimed.tenant_id, "record_id": record_id})
        version, gone = (known[0][0], bool(known[0][1])) if known else (0, False)
        if not quarantined and (not known or gone):
            return
        op = "create" if not known else "restore" if gone else "update"
        wanted = {
            "mutation_id": 1,
            "uid": derived("quarantined", claimed.receipt_id, str(claimed.fence)),
            "collection": QUARANTINED,
            "record_id": record_id,
            "base_version": version,
            "timestamp": writing.now,
            "op": op if quarantined else "delete",
        }
        if quarantined:
            wanted["fields"] = _fields(claimed, ending, result, is_new=not known)
        mutation = self._registry.parse_mutation(wanted)
        assert not isinstance(mutation, Unusable), mutation.message
        await self._apply(claimed, mutation, writing)

    async def _apply(self, claimed: Claimed, mutation: Mutation, writing: Writing) -> None:
        cause = Cause(claimed.correlation_id, claimed.endpoint.provider)
        await self._applying.apply(writing, claimed.tenant_id, AUTHOR, [mutation], cause)


def _fields(claimed: Claimed, ending: Ending, result: Result, *, is_new: bool) -> dict[str, Any]:
    facts = {} if result.fetched is None else result.fetched.facts
    why: dict[str, Any] = {"code": ending.error or "unusable", "reason": ending.reason or ""}
    if not is_new:
        return why
    identifier = facts.get("identifier", "")
    return {
        **why,
        "provider": claimed.endpoint.provider,
        "receipt_id": claimed.receipt_id,
        "received_at": claimed.received_at,
        "file_name": facts.get("file_name"),
        "sdi_id": identifier if identifier.isascii() and identifier.isalnum() and len(identifier) <= 64 else None,  # noqa: PLR2004  # a code
    }
