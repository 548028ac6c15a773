"""What a server may answer, checked before anything of it is stored: it crossed the internet.

An answer is taken whole or not at all; members this client does not know are ignored.
"""

from typing import Annotated, Any, NotRequired

from pydantic import StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sync.client.errors import UnexpectedAnswerError
from sync.protocol import Verdict
from sync.wire import INSTANT_PATTERN


class Bucket(TypedDict):
    """The records of a collection that one circle of people may see."""

    collection: str
    audience: str


class Change(TypedDict):
    """A record's new state, or its tombstone, which it leaves behind too in a bucket it moved out of.

    `erased`: nothing of it may stay here, not even what this device itself had said.
    """

    collection: str
    record_id: str
    version: int
    audience: str
    deleted: bool
    fields: dict[str, Any]
    erased: NotRequired[bool]


class BucketDigest(Bucket):
    """What `sync.digest` makes of a bucket's records."""

    sum: int


class Answer(TypedDict):
    """A page and verdicts. `dropped` names buckets that are out of reach; only who pulls nothing has no cursor.

    `too_old`: this app must be updated before it gets another page; what it queued is taken all the same.
    """

    server_time: Annotated[str, StringConstraints(pattern=f"^{INSTANT_PATTERN}$")]
    epoch: str
    head: str
    last_mutation_id: int
    safe_mutation_id: int | None
    verdicts: list[Verdict]
    changes: list[Change]
    dropped: list[Bucket]
    cursor: str | None
    more: bool
    reset: bool
    digest: NotRequired[list[BucketDigest] | None]
    too_old: NotRequired[bool]


class Problem(TypedDict, total=False):
    """A problem document's members that matter here; the last two come with trouble about numbering."""

    code: str
    detail: str
    verdicts: list[Verdict]
    last_mutation_id: int


_ANSWER = TypeAdapter(Answer)
_PROBLEM = TypeAdapter(Problem)


def parse_answer(body: bytes) -> Answer:
    """The answer to a sync request. Raises UnexpectedAnswerError."""
    try:
        return _ANSWER.validate_json(body, strict=True)
    except ValidationError as error:
        raise UnexpectedAnswerError(
            f"the answer has {error.error_count()} members that are not the protocol's"
        ) from None


def parse_problem(body: bytes) -> Problem:
    """A problem document; empty where the body is none, as when something before the server answered."""
    try:
        return _PROBLEM.validate_json(body, strict=True)
    except ValidationError:
        return {}
