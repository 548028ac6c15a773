"""What can go wrong with a whole request. What is wrong with one mutation is a verdict, never an exception.

    SyncError
    ├── RequestError            the client's: fix the request, keep the queue
    │   ├── MalformedError      not JSON, or not the envelope
    │   ├── TooLargeError       over a named limit
    │   └── UnsupportedError    a protocol this server does not speak
    ├── QueueError              the client's numbering and the server's disagree; carries the verdicts so far
    │   ├── MutationGapError    an id was skipped
    │   └── ClientForkedError   the id was used for another mutation: a cloned or restored database
    ├── ForeignClientError      the client id belongs to another device
    └── CursorError             the cursor cannot be used: answer with a reset

Each has a stable `code`, and the HTTP status it is best answered with.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "ClientForkedError",
    "CursorError",
    "ForeignClientError",
    "MalformedError",
    "MutationGapError",
    "QueueError",
    "RequestError",
    "SyncError",
    "TooLargeError",
    "UnsupportedError",
]


class SyncError(Exception):
    """The request could not be carried out."""

    code: ClassVar[str] = "sync_error"
    status_hint: ClassVar[int] = 400

    def __init__(self, message: str | None = None, **members: Any) -> None:
        """`message` is for people; `members` join the problem document."""
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.members: Mapping[str, Any] = members


class RequestError(SyncError):
    """The request is not usable as it stands; the queue stays with the client."""

    code = "bad_request"


class MalformedError(RequestError):
    """The body is not the JSON document that the protocol describes."""

    code = "malformed"


class TooLargeError(RequestError):
    """The request is over a limit; send it in smaller parts."""

    code = "too_large"
    status_hint = 413


class UnsupportedError(RequestError):
    """The server does not speak that protocol version."""

    code = "unsupported_protocol"
    status_hint = 422


class QueueError(SyncError):
    """The client's numbering and the server's disagree."""

    code = "queue_conflict"
    status_hint = 409

    def __init__(self, message: str, *, verdicts: Sequence[Mapping[str, Any]], last_mutation_id: int) -> None:
        """`verdicts` are those of the mutations before the trouble, which were kept."""
        super().__init__(
            message,
            verdicts=list(verdicts),
            last_mutation_id=last_mutation_id,
            expected_mutation_id=last_mutation_id + 1,
        )

    def after(self, earlier: Sequence[Mapping[str, Any]]) -> "QueueError":
        """The same error, with verdicts that came before its own."""
        verdicts = [*earlier, *self.members["verdicts"]]
        return type(self)(str(self), verdicts=verdicts, last_mutation_id=self.members["last_mutation_id"])


class MutationGapError(QueueError):
    """A mutation id was skipped: send the expected one first."""

    code = "mutation_gap"


class ClientForkedError(QueueError):
    """The mutation id was already used for another mutation: take a new client id, renumber, keep the uids."""

    code = "client_forked"


class ForeignClientError(SyncError):
    """The client id belongs to another device; the queue stays with its owner."""

    code = "foreign_client"
    status_hint = 403


class CursorError(SyncError):
    """The cursor cannot be used: start from nothing and keep the pending mutations."""

    code = "cursor_unusable"
