"""The vault: secrets at rest, sealed by AES-GCM with the row they belong to as associated data.

One master key, from `RIENTRO_SECRET_KEY` or a file only its owner may read, never in a backup of the data. A key for
each purpose is derived from it by HKDF, so that a cursor's key tells nothing about a sealed secret's. A sealed text
moved to another row does not open: tenant, provider and row are part of what is authenticated.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_core import from_json, to_json

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORM = "v1"


class SecretKeyError(Exception):
    """The master key cannot be used: set RIENTRO_SECRET_KEY to 64 hex digits, or restore the key file."""


class SealedError(Exception):
    """A sealed secret does not open: it was sealed with another master key, or belongs to another row."""


class Vault:
    """Seals and opens; derives the keys of other purposes."""

    def __init__(self, master: bytes) -> None:
        """`master` has 32 bytes."""
        if len(master) != KEY_BYTES:
            raise SecretKeyError
        self._master = master
        self._sealing = AESGCM(self.derive("sealed secrets"))

    def derive(self, purpose: str) -> bytes:
        """The key for one purpose, 32 bytes."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"rientro {purpose}".encode()).derive(self._master)

    def seal(self, tenant_id: str, provider: str, row: str, values: Mapping[str, str]) -> str:
        """Seal named secrets for one row."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._sealing.encrypt(nonce, to_json(dict(values)), _identity(tenant_id, provider, row))
        return f"{_FORM}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, tenant_id: str, provider: str, row: str, sealed: str) -> dict[str, str]:
        """The named secrets of a row. Raises SealedError."""
        form, _, text = sealed.partition(".")
        try:
            raw = base64.urlsafe_b64decode(text)
            if form != _FORM:
                raise SealedError
            opened = self._sealing.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _identity(tenant_id, provider, row))
        except (InvalidTag, ValueError):
            raise SealedError from None
        values: dict[str, str] = from_json(opened)
        return values


def open_vault(data: Path, secret_key: str | None) -> Vault:
    """The vault of an installation; the first start makes the key file. Raises SecretKeyError."""
    if secret_key is not None:
        try:
            return Vault(bytes.fromhex(secret_key))
        except ValueError:
            raise SecretKeyError from None
    return Vault(_key_file(data / "secret.key"))


def _key_file(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        try:
            return bytes.fromhex(path.read_text().strip())
        except ValueError:
            raise SecretKeyError from None
    with os.fdopen(handle, "w") as file:
        key = secrets.token_bytes(KEY_BYTES)
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(handle)
    return key


def _identity(tenant_id: str, provider: str, row: str) -> bytes:
    """What a sealed text is bound to; length-prefixed, so that no two rows look alike."""
    parts = [part.encode() for part in (tenant_id, provider, row)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
