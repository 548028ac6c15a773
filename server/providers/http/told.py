"""What the other side tells of the objects it made of our calls: one form, signed in a webhook or fetched after a hint.

Members we do not know are left alone. An object says which record of ours it is: by the record's id or the idempotency
key we sent. Who keeps neither leaves them out.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter

from server.mapping import PayloadMapping
from server.ports import Account, Ours, Reading, UnusableEventError
from sync.wire import UUID

MADE_OF = "sales"
"""The collection whose records are posted."""

ObjectId = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]
RecordId = Annotated[str, AfterValidator(TypeAdapter[str](UUID.check).validate_python)]


def _no_step(name: str) -> str:
    if name in {".", ".."}:
        raise ValueError("it leads to another place of a path")
    return name


class Object(BaseModel):
    """An object: `sequence` grows with its changes; `record_id` and `idempotency_key` are ours, given back."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: ObjectId
    sequence: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)]
    final: bool = False
    record_id: RecordId | None = None
    idempotency_key: Annotated[str, Field(pattern=r"^rnt_[0-9a-f]{64}$")] | None = None


class Hint(BaseModel):
    """A hint names an object; what else it says is not read. The name becomes the last part of a path."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[ObjectId, AfterValidator(_no_step)]


class Reference(BaseModel):
    """What a record is told: the other side's name for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    forward_reference: str


def to_ours(told: Object, _settings: Mapping[str, Any]) -> Reference:
    """The object's name."""
    return Reference(forward_reference=told.id)


def to_theirs(ours: Reference, _object_id: str) -> Object:
    """An object of that name, as it was first."""
    return Object(id=ours.forward_reference, sequence=1)


OBJECT = PayloadMapping("http.object", 1, MADE_OF, Object, Reference, to_ours, to_theirs)


def read_object(content: bytes, account: Account, asked_for: str | None = None) -> Reading:
    """The object as news of the record it was made of; `asked_for` by its name. Raises UnusableEventError."""
    told = OBJECT.parse(content)
    if asked_for not in {None, told.id}:
        raise UnusableEventError("another_object", "It is another object than the one that was asked for.")
    draft = OBJECT.draft(told, account, f"{account.endpoint_id}:{told.id}", f"{told.id} {told.sequence}")
    ours = Ours(told.record_id, told.idempotency_key)
    return Reading([draft._replace(watermark=told.sequence, final=told.final, ours=ours)])
