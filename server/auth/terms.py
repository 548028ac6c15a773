"""What a key is made with, what is shown of it, and how it stands."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from server.storage.statement import Statement
from sync.clock import decode_instant

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SOON_MS = 14 * DAY_MS
"""What expires within it is told of."""

KeyState = Literal["good", "due", "leaving", "expired", "revoked"]

LIST = Statement(
    """SELECT key_id, device_id, name, permissions, created_at, rotate_by, expires_at, last_used_at, successor,
       revoked_at, signing IS NOT NULL, certificate FROM keys WHERE tenant_id = :tenant_id
       ORDER BY created_at, key_id"""
)


class NewKey(NamedTuple):
    """A key just made. Token and signing secret are shown once; the one is stored hashed, the other sealed."""

    key_id: str
    token: str
    device_id: str
    expires_at: str | None
    signing_secret: str | None = None


class Terms(NamedTuple):
    """What a key is narrowed to (None: nothing), how many days it is good, and after how many it is due.

    `signed`: each of its requests must be; `certificate`: the SHA-256 of the one each must come with, in hex.
    """

    permissions: Sequence[str] | None = None
    expires_days: int | None = None
    rotate_days: int | None = None
    signed: bool = False
    certificate: str | None = None


class KeyRow(NamedTuple):
    """A key as it is listed; `permissions` is a JSON list, or None for everything its role may."""

    key_id: str
    device_id: str
    name: str
    permissions: str | None
    created_at: str
    rotate_by: str | None
    expires_at: str | None
    last_used_at: str | None
    successor: str | None
    revoked_at: str | None
    signed: bool
    certificate: str | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> "KeyRow":
        """Of a row of `LIST`; SQLite has no booleans."""
        return cls(*row)._replace(signed=bool(row[-2]))

    def state(self, now_ms: int) -> KeyState:
        """One word: revoked, expired, leaving (its successor is there), due, good."""
        if self.revoked_at is not None:
            return "revoked"
        if _is_past(self.expires_at, now_ms):
            return "expired"
        if self.successor is not None:
            return "leaving"
        return "due" if _is_past(self.rotate_by, now_ms) else "good"

    def is_pressing(self, now_ms: int) -> bool:
        """Whether somebody should see to it: it is due, expires soon, or leaves while it is still used."""
        state = self.state(now_ms)
        if state == "leaving":
            return self.last_used_at is not None and now_ms - decode_instant(self.last_used_at) < DAY_MS
        return state == "due" or (state == "good" and _is_past(self.expires_at, now_ms + SOON_MS))


def _is_past(at: str | None, now_ms: int) -> bool:
    return at is not None and decode_instant(at) <= now_ms
