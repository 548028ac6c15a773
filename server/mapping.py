"""What stands between a vendor's payload and a collection of ours: declared, typed on both sides, versioned, pure.

Rules:

1. Both sides are pydantic models. The vendor's is as strict as its documentation; ours names the fields it makes, in
   wire form. What their values may be is the collection's to say, where the record is made, and nobody else's.
2. `version` grows whenever the same payload is to become other fields. It is part of what makes news: an event that is
   read again by a newer mapping is news, by the same one it is known.
3. It goes there and back unchanged: `to_ours(to_theirs(ours))` is `ours`, for everything `to_ours` makes. A mapping
   without a way back is tested against a writer of the vendor's form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from server.ports import Account, Draft, UnusableEventError

Theirs = TypeVar("Theirs", bound=BaseModel)
Ours = TypeVar("Ours", bound=BaseModel)

MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class PayloadMapping(Generic[Theirs, Ours]):
    """One kind of object of a vendor's, as a collection's record.

    `name` is `<provider>.<object>`. `to_ours` is given the account's plain settings; `to_theirs` the vendor's name for
    the object.
    """

    name: str
    version: int
    collection: str
    theirs: type[Theirs]
    ours: type[Ours]
    to_ours: Callable[[Theirs, Mapping[str, Any]], Ours]
    to_theirs: Callable[[Ours, str], Theirs] | None = None

    def parse(self, document: Any, code: str = "invalid") -> Theirs:
        """A vendor's document: JSON text, or what was read of it. Raises UnusableEventError under `code`."""
        try:
            if isinstance(document, bytes | str):
                return self.theirs.model_validate_json(document)
            return self.theirs.model_validate(document)
        except ValidationError as error:
            raise UnusableEventError(code, reasons(error)) from None

    def draft(self, told: Theirs, account: Account, key: str, version: str = "") -> Draft:
        """The record as the vendor tells of it, known by `key`; `version` as a draft's."""
        fields = self.to_ours(told, account.settings).model_dump(exclude_unset=True)
        return Draft(self.collection, key, version, fields, mapping=self.version)


def reasons(error: ValidationError) -> str:
    """Where a document does not fit and why, without its values: `lines.0.total: missing`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join([*dict.fromkeys(f"{_place(one['loc'])}: {one['type']}" for one in found)][:MOST_REASONS])


def _place(location: tuple[int | str, ...]) -> str:
    """`lines.0.total`, without the names pydantic gives to a union's members."""
    return ".".join(str(part) for part in location if str(part).replace("_", "").isalnum()) or "body"
