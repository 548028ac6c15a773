"""The texts that let somebody in. Each names its tenant, so no look-up is without one.

- An API key: `rnt_<tenant>_<key>_<secret>`. The secret has 256 random bits and is stored as its SHA-256: what is that
  random needs no slow hash.
- A refresh token: `rnr_<tenant>_<session>_<generation>_<mac>`. It is stored nowhere: whoever has the master key can
  make it, so that an answer that was lost can be given again.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

_KEY = re.compile(r"rnt_([0-9a-f]{32})_([0-9a-f]{32})_([0-9a-f]{64})")
_REFRESH = re.compile(r"rnr_([0-9a-f]{32})_([0-9a-f]{32})_([0-9a-f]{1,8})_([0-9a-f]{64})")


class Token(NamedTuple):
    """An API key's parts."""

    tenant_id: str
    key_id: str
    secret: str

    def text(self) -> str:
        """As it is presented; shown once."""
        return f"rnt_{_hex(self.tenant_id)}_{_hex(self.key_id)}_{self.secret}"


def new_token(tenant_id: str, key_id: str) -> Token:
    """A key with a fresh secret."""
    return Token(tenant_id, key_id, secrets.token_hex(32))


def new_signing_secret() -> str:
    """What a program signs its requests by: the form of Standard Webhooks' secrets, 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def parse_token(text: str) -> Token | None:
    """The parts of a presented key, or None for what is none."""
    found = _KEY.fullmatch(text)
    return None if found is None else Token(_uuid(found[1]), _uuid(found[2]), found[3])


def hash_secret(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Refresh(NamedTuple):
    """What a refresh token says."""

    tenant_id: str
    session_id: str
    generation: int


class RefreshTokens:
    """Makes refresh tokens, and reads those that were made here."""

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        """`keys`: the first makes them, all read them."""
        self._keys = keys

    def make(self, refresh: Refresh) -> str:
        """The one text for a generation of a session."""
        return _refresh_text(refresh, self._keys()[0])

    def read(self, text: str) -> Refresh | None:
        """What it says, or None for what was not made here."""
        found = _REFRESH.fullmatch(text)
        if found is None:
            return None
        refresh = Refresh(_uuid(found[1]), _uuid(found[2]), int(found[3], 16))
        made = (_refresh_text(refresh, key) for key in self._keys())
        return refresh if any(hmac.compare_digest(one, text) for one in made) else None


def _refresh_text(refresh: Refresh, key: bytes) -> str:
    named = f"rnr_{_hex(refresh.tenant_id)}_{_hex(refresh.session_id)}_{refresh.generation:x}"
    return f"{named}_{hmac.new(key, named.encode(), hashlib.sha256).hexdigest()}"


def _hex(uuid: str) -> str:
    return uuid.replace("-", "")


def _uuid(text: str) -> str:
    return str(UUID(text))
