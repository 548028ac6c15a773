"""Sending again, corrected, what was rejected, or putting it aside: what an owner does about the list.

Rules:

1. A correction is laid over what was sent, in the schema that was sent in. Time, base and shop stay the sender's.
2. Its uid follows from the rejected mutation's and from the correction: the same one sent twice applies once.
3. It is judged as an owner's own mutation would be: rights, scope and fields that only the server writes hold. Its
   author is `system:resend` and the client that had sent it, so that what one client did offline is still seen by what
   it did after.
4. Where it is accepted, the row is marked in the same transaction. Where it is refused, nothing is stored, not even the
   verdict: after something else was put right, the same correction may be sent again.
5. Refusals are returned by the job, not raised: others share its transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from server.audit import OPERATOR, Actor, Entry, note
from server.engine.apply import ACCEPTED, Applier
from server.engine.kept import UnknownRejectionError
from server.ids import derived
from server.ports import Cause, Principal
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.errors import MalformedError, SyncError
from sync.protocol import Mutation, Registry, Status, Unusable
from sync.scope import Scope

_PARTS = ("fields", "increments", "adds", "removes")

_REJECTED = Statement(
    "SELECT client_id, device_id, body, resolved_as FROM rejected WHERE tenant_id = :tenant_id AND uid = :uid"
)
_RESOLVE = Statement(
    """UPDATE rejected SET resolved_at = :now, resolved_by = :resolved_by, resolved_as = :resolved_as
       WHERE tenant_id = :tenant_id AND uid = :uid"""
)
_DISMISS = Statement(
    """UPDATE rejected SET resolved_at = :now, resolved_by = :resolved_by
       WHERE tenant_id = :tenant_id AND uid = :uid AND resolved_at IS NULL"""
)
_VERDICT = Statement("SELECT verdict FROM mutations WHERE tenant_id = :tenant_id AND uid = :uid")
_SENDER_SHOP = Statement("SELECT shop FROM devices WHERE tenant_id = :tenant_id AND device_id = :device_id")
_SHOPS = Statement("SELECT shop FROM shops WHERE tenant_id = :tenant_id")


class AlreadyResentError(SyncError):
    """It was sent again with another correction, and accepted: what is still wrong is a change to the record."""

    code = "already_resent"
    status_hint = 409


class NotCorrectableError(SyncError):
    """What was sent is no mutation that a correction could mend."""

    code = "not_correctable"
    status_hint = 422


class StillRejectedError(SyncError):
    """The corrected mutation breaks a rule too."""

    code = "still_rejected"
    status_hint = 422


class Correction(BaseModel):
    """What to change in a rejected mutation: names to leave out wherever they stand, then values to set over it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    drop: list[str] = []
    fields: dict[str, JsonValue] = {}
    increments: dict[str, str] = {}
    adds: dict[str, list[str]] = {}
    removes: dict[str, list[str]] = {}

    def canonical(self) -> str:
        """The correction's one form: the same text however it was written. Raises ValueError for NaN."""
        said = {name: value for name, value in self.model_dump().items() if value}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Resent:
    """The corrected mutation was accepted under `uid`; `duplicate`: at an earlier time."""

    uid: str
    status: Status
    duplicate: bool


class Who(NamedTuple):
    """Who acts: an owner's device (None: the command line), the correlation id it goes on under, and for the audit."""

    device_id: str | None
    correlation_id: str
    actor: Actor = OPERATOR


class Resender:
    """Acts on rejected mutations."""

    def __init__(self, writer: Writer, registry: Registry, applier: Applier) -> None:
        """All three are shared with the rest of the process."""
        self._writer, self._registry, self._applier = writer, registry, applier

    async def resend(self, tenant_id: str, uid: str, correction: Correction, who: Who) -> Resent:
        """Send a rejected mutation again, corrected.

        Raises UnknownRejectionError, AlreadyResentError, NotCorrectableError, StillRejectedError, UnknownTenantError,
        DatabaseError (`transient`: try again).
        """
        run = partial(self._resend, tenant_id, uid, correction, who)
        try:
            result = await self._writer.submit(Job([tenant_id], run))
        except DatabaseError as error:
            if error.transient:
                raise
            raise StillRejectedError("the server could not store it", reason="internal_error") from error
        if isinstance(result, SyncError):
            raise result
        return result

    async def dismiss(self, tenant_id: str, uid: str, who: Who) -> None:
        """Put a rejected mutation aside; it stays in the list, and may still be sent again.

        Raises UnknownRejectionError, AlreadyResentError, UnknownTenantError, DatabaseError.
        """
        refusal = await self._writer.submit(Job([tenant_id], partial(_dismiss, tenant_id, uid, who)))
        if refusal is not None:
            raise refusal

    async def _resend(
        self, tenant_id: str, uid: str, correction: Correction, who: Who, writing: Writing
    ) -> Resent | SyncError:
        writing.tenant(tenant_id)
        rows = await writing.tx.fetch(_REJECTED, (tenant_id, uid))
        if not rows:
            return UnknownRejectionError()
        client_id, device_id, body, resolved_as = rows[0]
        corrected_uid = derived("resend", uid, correction.canonical())
        if resolved_as is not None:
            return await _again(writing, tenant_id, corrected_uid, resolved_as)
        mutation = self._corrected(json.loads(body), correction, corrected_uid)
        if isinstance(mutation, SyncError):
            return mutation
        scope = await _scope(writing, tenant_id, device_id)
        author, cause = f"system:resend:{client_id}", Cause(who.correlation_id)
        (outcome,) = await self._applier.apply(writing, tenant_id, author, [mutation], cause, scope=scope)
        if outcome.status == "waiting":
            return _refused("unknown_record", "its record is not here: send the creation first")
        if outcome.status not in ACCEPTED:
            return _refused(outcome.code or "rejected", outcome.message or "")
        named = {"tenant_id": tenant_id, "uid": uid, "now": writing.now, "resolved_by": who.device_id}
        await writing.tx.execute(_RESOLVE, {**named, "resolved_as": corrected_uid})
        await note(writing, tenant_id, Entry("mutation.resend", who.actor, "mutation", uid))
        return Resent(corrected_uid, outcome.status, duplicate=False)

    def _corrected(self, sent: Mapping[str, Any], correction: Correction, uid: str) -> Mutation | SyncError:
        """The mutation to apply, or why there is none."""
        head = {**{name: value for name, value in sent.items() if name not in _PARTS}, "uid": uid, "mutation_id": 1}
        bare = self._registry.parse_mutation({**head, "schema": self._registry.schema})  # lifting needs the parts
        if isinstance(bare, Unusable):
            return NotCorrectableError(
                f"what was sent is no mutation that a correction could mend ({bare.message}): it can be put aside",
                reason=bare.code,
            )
        parts = {part: _laid_over(sent.get(part), getattr(correction, part), correction.drop) for part in _PARTS}
        whole = self._registry.parse_mutation({**head, **{part: given for part, given in parts.items() if given}})
        return _refused(whole.code, whole.message) if isinstance(whole, Unusable) else whole


def parse_correction(body: bytes) -> Correction:
    """A correction as it comes over the wire. Raises MalformedError, which repeats none of its values."""
    try:
        correction = Correction.model_validate_json(body)
        correction.canonical()
    except ValidationError as error:
        kinds = sorted({found["type"] for found in error.errors(include_url=False, include_input=False)})
        raise MalformedError(f"this is no correction: {', '.join(kinds)}") from None
    except ValueError:
        raise MalformedError("this is no correction: it holds what is no JSON number") from None
    return correction


def _laid_over(sent: Any, given: Mapping[str, Any], drop: list[str]) -> dict[str, Any]:
    kept = {name: value for name, value in sent.items() if name not in drop} if isinstance(sent, dict) else {}
    return {**kept, **given}


def _refused(code: str, message: str) -> StillRejectedError:
    return StillRejectedError(f"it is still refused ({code}): {message}", reason=code)


async def _again(writing: Writing, tenant_id: str, uid: str, resolved_as: str) -> Resent | SyncError:
    if uid != resolved_as:
        return AlreadyResentError()
    ((verdict,),) = await writing.tx.fetch(_VERDICT, (tenant_id, uid)) or ((None,),)
    return Resent(uid, json.loads(verdict)["status"] if verdict else "applied", duplicate=True)


async def _scope(writing: Writing, tenant_id: str, device_id: str) -> Scope:
    """An owner's, who sees every shop; creations are filled in with the shop of the device that sent them."""
    shops = frozenset([shop for (shop,) in await writing.tx.fetch(_SHOPS, (tenant_id,))])
    sender = await writing.tx.fetch(_SENDER_SHOP, (tenant_id, device_id))
    owner = Principal(tenant_id, device_id, "owner", sender[0][0] if sender else "", shops)
    return owner.scope() if sender else owner.scope()._replace(defaults={})


async def _dismiss(tenant_id: str, uid: str, who: Who, writing: Writing) -> SyncError | None:
    writing.tenant(tenant_id)
    rows = await writing.tx.fetch(_REJECTED, (tenant_id, uid))
    if not rows:
        return UnknownRejectionError()
    if rows[0][-1] is not None:
        return AlreadyResentError()
    named = {"tenant_id": tenant_id, "uid": uid, "now": writing.now, "resolved_by": who.device_id}
    await writing.tx.execute(_DISMISS, named)
    await note(writing, tenant_id, Entry("mutation.dismiss", who.actor, "mutation", uid))
    return None
