"""What a provider may raise when a call brought no answer with a status that says it all.

    DeliveryError
    ├── TransientError   try again later
    ├── PermanentError   trying again cannot help: fails fast, for a person
    ├── UnknownError     nobody foresaw it: tried again with care, for a person when it persists
    └── AnsweredError    the provider understood and refused, for reasons of business: no failure

`code` is a stable word for logs and people; no error carries a provider's text, a payload or a secret. `maybe_done`
says whether the provider may have acted all the same.
"""

from typing import ClassVar, Literal

__all__ = ["AnsweredError", "DeliveryError", "ErrorClass", "PermanentError", "TransientError", "UnknownError"]

ErrorClass = Literal["transient", "permanent", "unknown", "answered"]


class DeliveryError(Exception):
    """The call did not do what was asked."""

    error_class: ClassVar[ErrorClass]

    def __init__(self, code: str, *, maybe_done: bool = False, retry_after: str | None = None) -> None:
        """`retry_after` is the provider's wish as its header says it: seconds or an HTTP date."""
        super().__init__(code)
        self.code, self.maybe_done, self.retry_after = code, maybe_done, retry_after


class TransientError(DeliveryError):
    """It will pass."""

    error_class = "transient"


class PermanentError(DeliveryError):
    """The same call will fail the same way."""

    error_class = "permanent"


class UnknownError(DeliveryError):
    """Nobody foresaw it."""

    error_class = "unknown"


class AnsweredError(DeliveryError):
    """The provider says no, and means it."""

    error_class = "answered"
