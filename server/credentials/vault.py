"""The vault: secrets at rest, sealed by AES-GCM with the row they belong to as associated data.

Rules:

1. A key for each purpose is derived from a master key by HKDF, so that a cursor's key tells nothing about a sealed
   secret's. A sealed text moved to another row does not open: tenant, provider and row are part of what is
   authenticated.
2. The first master key of the ring seals, all open; a sealed text names its key, so that what still has to be sealed
   anew is found without opening it.
3. The ring is looked at again whenever it is needed: a rotation reaches running processes.

Form: `v2.<key id>.<nonce and sealed, base64url>`; `v1.<…>`, of the first release, names no key and opens with any.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_core import from_json, to_json

from server.credentials.keyring import Ring

_NONCE_BYTES = 12
_KEY_BYTES = 32
_SEALING, _NAMING = "sealed secrets", "key id"
CURSORS = "cursors"
"""The purpose of the keys that authenticate cursors."""
REFRESH = "refresh tokens"
"""The purpose of the keys that refresh tokens are made with."""
API_KEY = "api key"
"""What stands in a provider's place for the secrets that API keys sign by."""
VAPID, WEBPUSH = "vapid", "webpush"
"""What stands there for the keys that push messages are signed by, and for devices' subscriptions."""


class SealedError(Exception):
    """A sealed secret does not open: it was sealed with another master key, or belongs to another row."""


class Row(NamedTuple):
    """What a sealed text is bound to."""

    tenant_id: str
    provider: str
    row: str


class Vault:
    """Seals and opens; derives the keys of other purposes."""

    def __init__(self, ring: Callable[[], Ring]) -> None:
        """`ring` gives the master keys as they are now. Raises SecretKeyError through it."""
        self._ring = ring
        self._known: tuple[bytes, ...] = ()
        self._boxes: dict[str, AESGCM] = {}
        self._current = ""
        self._refresh()

    @classmethod
    def of(cls, *masters: bytes) -> "Vault":
        """A vault on keys in hand, the first to seal with."""
        return cls(lambda: Ring(masters))

    def derive(self, purpose: str) -> list[bytes]:
        """The keys for one purpose, 32 bytes each, newest first: the first is to be used, all are to be accepted."""
        ring = self._ring()
        return [derive(master, purpose) for master in ring.masters] + list(ring.retired if purpose == CURSORS else ())

    @property
    def prefix(self) -> str:
        """What a text sealed with the newest key begins with."""
        self._refresh()
        return f"v2.{self._current}."

    def seal(self, tenant_id: str, provider: str, row: str, values: Mapping[str, str]) -> str:
        """Seal named secrets for one row."""
        prefix = self.prefix
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._boxes[self._current].encrypt(nonce, to_json(dict(values)), _identity(tenant_id, provider, row))
        return prefix + base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, tenant_id: str, provider: str, row: str, sealed: str) -> dict[str, str]:
        """The named secrets of a row. Raises SealedError."""
        self._refresh()
        form, _, text = sealed.partition(".")
        key_id, _, text = text.rpartition(".")
        boxes = {"v1": [*self._boxes.values()], "v2": [box for name, box in self._boxes.items() if name == key_id]}
        try:
            raw = base64.urlsafe_b64decode(text)
        except ValueError:
            raise SealedError from None
        for box in boxes.get(form, ()):
            opened = _opened(box, raw, _identity(tenant_id, provider, row))
            if opened is not None:
                return opened
        raise SealedError

    def _refresh(self) -> None:
        masters = self._ring().masters
        if masters == self._known:
            return
        self._boxes = {key_id(master): AESGCM(derive(master, _SEALING)) for master in masters}
        self._current, self._known = next(iter(self._boxes)), masters


def derive(master: bytes, purpose: str) -> bytes:
    """The key of one purpose."""
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"rientro {purpose}".encode()).derive(master)


def key_id(master: bytes) -> str:
    """A master key's public name."""
    return derive(master, _NAMING)[:4].hex()


def _opened(box: AESGCM, raw: bytes, identity: bytes) -> dict[str, str] | None:
    try:
        opened = box.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], identity)
    except (InvalidTag, ValueError):
        return None
    values: dict[str, str] = from_json(opened)
    return values


def _identity(tenant_id: str, provider: str, row: str) -> bytes:
    """What a sealed text is bound to; length-prefixed, so that no two rows look alike."""
    parts = [part.encode() for part in (tenant_id, provider, row)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
