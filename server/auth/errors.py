"""Why somebody is not let in, or may not do what they ask for."""

from typing import Any


class AccessError(Exception):
    """A refusal with a stable code; the message says what to do next and quotes nothing.

    `status` is the HTTP status it is best answered with, `retry_after_s` when it may be tried again.
    """

    def __init__(self, code: str, message: str, *, status: int = 401, retry_after_s: int | None = None) -> None:
        """Made by whoever refuses."""
        super().__init__(message)
        self.code, self.status, self.retry_after_s = code, status, retry_after_s

    @property
    def members(self) -> dict[str, Any]:
        """What joins the problem document."""
        return {} if self.retry_after_s is None else {"retry_after_s": self.retry_after_s}
