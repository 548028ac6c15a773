"""Providers that want more of an answer than a status: what they say is taken apart, and answered in their words."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Heard(NamedTuple):
    """What was said, as it is kept, and what it is answered with once it is."""

    kept: bytes
    answer: bytes


class UnheardError(Exception):
    """What was said cannot be taken in; `answer` says so in the provider's words."""

    def __init__(self, answer: bytes) -> None:
        """Nothing of it is kept."""
        super().__init__("unheard")
        self.answer = answer


class Conversation(Protocol):
    """How a provider is spoken with. Nothing here does I/O; a long body is read in a thread."""

    @property
    def media_type(self) -> str:
        """Of every answer."""

    @property
    def max_bytes(self) -> int:
        """The longest it says at once."""

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """Take a body apart. Raises UnheardError."""

    def excuse(self, *, ours: bool) -> bytes:
        """What it is told where a message could not be kept: for reasons that are `ours`, or because it may not."""


@runtime_checkable
class Converses(Protocol):
    """A provider that is spoken with."""

    @property
    def name(self) -> str:
        """As addresses name it."""

    @property
    def conversation(self) -> Conversation:
        """How."""
