"""What the other side tells of the objects it made of our calls: one form, signed in a webhook or fetched after a hint.

Members we do not know are left alone. An object says which record of ours it is: by the record's id or the idempotency
key we sent. Who keeps neither leaves them out.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from server.ports import Draft, Ours, Reading, UnusableEventError
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


def read_object(content: bytes, endpoint_id: str, asked_for: str | None = None) -> Reading:
    """The object as news of the record it was made of; `asked_for` by its name. Raises UnusableEventError."""
    try:
        told = Object.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = dict.fromkeys(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['type']}" for one in found)
        raise UnusableEventError("invalid", "; ".join([*reasons][:5])) from None
    if asked_for not in {None, told.id}:
        raise UnusableEventError("another_object", "It is another object than the one that was asked for.")
    draft = Draft(
        MADE_OF,
        f"{endpoint_id}:{told.id}",
        f"{told.id} {told.sequence}",
        {"forward_reference": told.id},
        watermark=told.sequence,
        final=told.final,
        ours=Ours(told.record_id, told.idempotency_key),
    )
    return Reading([draft])
