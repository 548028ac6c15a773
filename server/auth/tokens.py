"""Device tokens: `rnt_<tenant>_<device>_<secret>`. The token names its tenant, so no look-up is without one.

The secret has 256 random bits and is stored as its SHA-256: what is that random needs no slow hash.
"""

import hashlib
import re
import secrets
from typing import NamedTuple
from uuid import UUID

_FORM = re.compile(r"rnt_([0-9a-f]{32})_([0-9a-f]{32})_([0-9a-f]{64})")


class Token(NamedTuple):
    """A token's parts."""

    tenant_id: str
    device_id: str
    secret: str

    def text(self) -> str:
        """As the device presents it; shown once."""
        return f"rnt_{self.tenant_id.replace('-', '')}_{self.device_id.replace('-', '')}_{self.secret}"


def new_token(tenant_id: str, device_id: str) -> Token:
    """A token with a fresh secret."""
    return Token(tenant_id, device_id, secrets.token_hex(32))


def parse_token(text: str) -> Token | None:
    """The parts of a presented token, or None for what is none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    tenant_id, device_id, secret = found.groups()
    return Token(str(UUID(tenant_id)), str(UUID(device_id)), secret)


def hash_secret(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
