"""What can go wrong with a client. Whatever it is, no mutation leaves the queue by it: only a verdict ends one.

    ClientError
    ├── LocalError                     nothing was written: correct what was asked for, and ask again
    │   ├── InvalidMutationError       not what a mutation may hold
    │   ├── MutationTooLargeError      over 256 KiB
    │   ├── UnknownRejectionError      no such entry in "Da controllare"
    │   ├── StoreTooNewError           the database was written by a newer app
    │   └── StoreError                 the database refused: disk full, file gone, locked by another process
    ├── TroubleError                   passes by itself: wait and send the same again
    │   ├── UnreachableError           no answer; whether the server took it is unknown
    │   ├── UnavailableError           the server says "later"
    │   └── UnexpectedAnswerError      an answer that is not the protocol's, such as a hotel's sign-in page
    ├── BatchTooLargeError             send less at a time
    ├── NumberingError                 the server counts otherwise; carries the verdicts so far
    │   ├── ForkedError                an id of ours was used for another mutation: this database was copied
    │   └── GapError                   an id is missing: go on from the expected one
    └── HeldError                      somebody has to do something; the queue waits as long as it takes
        ├── SignedOutError             sign in again
        ├── RefusedError               this device or person may not
        │   └── ForeignQueueError      the queue belongs to another device or person
        ├── TenantGoneError            the merchant was deleted; the queue can still be exported
        └── UpdateNeededError          the server does not understand this app

Each has a stable `code`; `reason` is the code the server gave, where it gave one.
"""

from collections.abc import Sequence
from typing import ClassVar

from sync.protocol import Verdict

__all__ = [
    "BatchTooLargeError",
    "ClientError",
    "ForeignQueueError",
    "ForkedError",
    "GapError",
    "HeldError",
    "InvalidMutationError",
    "LocalError",
    "MutationTooLargeError",
    "NumberingError",
    "RefusedError",
    "SignedOutError",
    "StoreError",
    "StoreTooNewError",
    "TenantGoneError",
    "TroubleError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnknownRejectionError",
    "UnreachableError",
    "UpdateNeededError",
]


class ClientError(Exception):
    """The client could not do it."""

    code: ClassVar[str] = "client_error"

    def __init__(self, message: str | None = None, *, reason: str | None = None) -> None:
        """`message` is for people; `reason` is the server's own code."""
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.reason = reason


class LocalError(ClientError):
    """Nothing was written."""

    code = "local"


class InvalidMutationError(LocalError):
    """A mutation may not hold this."""

    code = "invalid_mutation"


class MutationTooLargeError(LocalError):
    """A mutation holds at most 256 KiB."""

    code = "mutation_too_large"


class UnknownRejectionError(LocalError):
    """There is no such rejected mutation."""

    code = "unknown_rejection"


class StoreTooNewError(LocalError):
    """The local database was written by a newer version of the app."""

    code = "store_too_new"


class StoreError(LocalError):
    """The local database refused the transaction; nothing of it was kept."""

    code = "store_failed"


class TroubleError(ClientError):
    """It will pass: wait and send the same again."""

    code = "trouble"
    retry_after_s: float | None = None


class UnreachableError(TroubleError):
    """No answer came; whether the server took the mutations is unknown."""

    code = "unreachable"


class UnavailableError(TroubleError):
    """The server is there but cannot answer now."""

    code = "unavailable"

    def __init__(self, message: str, *, reason: str | None = None, retry_after_s: float | None = None) -> None:
        """`retry_after_s` is how long the server asks to be left alone, in seconds."""
        super().__init__(message, reason=reason)
        self.retry_after_s = retry_after_s


class UnexpectedAnswerError(TroubleError):
    """The answer is not the protocol's."""

    code = "unexpected_answer"


class BatchTooLargeError(ClientError):
    """The request was over a limit of the server or of something before it."""

    code = "batch_too_large"


class NumberingError(ClientError):
    """The server's numbering of this client's mutations and the client's own disagree."""

    code = "numbering"

    def __init__(self, message: str, *, reason: str, verdicts: Sequence[Verdict], last_mutation_id: int) -> None:
        """`verdicts` are those before the trouble, which hold; `last_mutation_id` is the last one consumed."""
        super().__init__(message, reason=reason)
        self.verdicts, self.last_mutation_id = verdicts, last_mutation_id


class ForkedError(NumberingError):
    """An id of ours names another mutation at the server: this database was copied or restored."""

    code = "client_forked"


class GapError(NumberingError):
    """The server expects an earlier id than the one that came."""

    code = "mutation_gap"


class HeldError(ClientError):
    """Somebody has to do something first; the queue waits."""

    code = "held"


class SignedOutError(HeldError):
    """Sign in again: the token is not valid any more."""

    code = "signed_out"


class RefusedError(HeldError):
    """The server does not let this device in."""

    code = "refused"


class ForeignQueueError(RefusedError):
    """The queue belongs to another device or person, and is never sent under a second name."""

    code = "foreign_queue"


class TenantGoneError(HeldError):
    """The merchant is not on this server any more; the queue can be exported."""

    code = "tenant_gone"


class UpdateNeededError(HeldError):
    """The server does not understand this version of the app."""

    code = "update_needed"
