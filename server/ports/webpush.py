"""Web push: what wants to be told, to whom it is told, and how an adapter learns where to send.

Whoever notices something (a collection, an alert, a comparison of closings) says it in a Notice and knows nothing of
devices, languages, quiet hours or push services.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, get_args

from server.storage.writer import Writing

NoticeKind = Literal[
    "invoice",  # an invoice arrived; the subject is its record
    "conflict",  # a conflict waits for a decision; the subject is its record
    "closing",  # what a terminal closed with is not what arrived
    "died",  # something was given up, or fails, and waits for a person
]

NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
OWNERS = "role:owner"
"""The audience of what concerns nobody but owners."""


class Notice(NamedTuple):
    """Something that people want to know. `subject` is a uuid: the same one waiting twice is told once.

    `audience`: who may see it, as a record's. `about` holds stable words and ids, no person's data; of an invoice or a
    conflict the text is made from the record, as it is when it is told.
    """

    kind: NoticeKind
    subject: str
    audience: str = OWNERS
    about: Mapping[str, str] = {}


class Notices(Protocol):
    """The door of whoever noticed something."""

    async def note(self, writing: Writing, tenant_id: str, notices: Sequence[Notice]) -> None:
        """Keep them for the devices they are for, in the transaction that found them out."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where and how a device is reached, with our key for it. Shown anywhere, it keeps its secrets.

    `p256dh`, `auth` and `private_key` are in base64url without padding; `contact` is whom a push service may write to;
    `person_id` is who is told there, None on a device of nobody's.
    """

    subscription_id: str
    public_key: str
    contact: str
    person_id: str | None
    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)
    private_key: str = field(repr=False)


class Subscriptions(Protocol):
    """Knows how devices are reached, as of now."""

    async def of(self, tenant_id: str, device_id: str) -> Subscription | None:
        """A device's subscription; None where it has none, or nobody is let in on it any more.

        Raises TransientError where that cannot be known now.
        """

    async def gone(self, tenant_id: str, device_id: str, subscription_id: str) -> None:
        """The push service knows this one no more: forget it, unless the device has another by now.

        Raises TransientError.
        """
