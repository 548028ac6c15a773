"""The master keys: from the settings, or from a file only its owner may read; never in a backup of the data.

The file `secret.key` has a key a line, 64 hex digits, the newest first. A rotation puts a new one on top; once nothing
is sealed with the old one, only what it derived for reading cursors is left of it: a line `cursors:` and 64 hex
digits. The file is replaced as a whole, so that a crash leaves the one ring or the other, and running processes see it
change.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

KEY_BYTES = 32
_RETIRED = "cursors:"


class SecretKeyError(Exception):
    """The master key cannot be used: set RIENTRO_SECRET_KEY to 64 hex digits, or restore the key file."""


class Ring(NamedTuple):
    """Master keys, newest first, and the cursor keys of those that are gone."""

    masters: tuple[bytes, ...]
    retired: tuple[bytes, ...] = ()


def parse_ring(text: str) -> Ring:
    """Keys in hex, one a line or divided by commas. Raises SecretKeyError."""
    masters: list[bytes] = []
    retired: list[bytes] = []
    for word in text.replace(",", "\n").split():
        kept = retired if word.startswith(_RETIRED) else masters
        kept.append(_key(word.removeprefix(_RETIRED)))
    if not masters:
        raise SecretKeyError
    return Ring(tuple(masters), tuple(retired))


def _key(word: str) -> bytes:
    try:
        key = bytes.fromhex(word)
    except ValueError:
        raise SecretKeyError from None
    if len(key) != KEY_BYTES:
        raise SecretKeyError
    return key


class KeyFile:
    """The ring in a file; made with a fresh key where there is none."""

    def __init__(self, path: Path) -> None:
        """The first start makes the file. Raises SecretKeyError."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._create()
        self._stamp: tuple[int, int, int] | None = None
        self._ring = self()

    def __call__(self) -> Ring:
        """The ring as it stands in the file. Raises SecretKeyError."""
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_ino, found.st_size
            if stamp != self._stamp:
                self._ring, self._stamp = parse_ring(self._path.read_text()), stamp
        except (OSError, UnicodeError):
            raise SecretKeyError from None
        return self._ring

    def add(self, key: bytes) -> None:
        """Put a new key on top."""
        ring = self()
        self._replace(Ring((key, *ring.masters), ring.retired))

    def drop_old(self, kept_of: Callable[[bytes], bytes]) -> None:
        """Leave the newest key alone; of the others only what `kept_of` gives stays, to read cursors with."""
        newest, *old = self().masters
        self._replace(Ring((newest,), (*map(kept_of, old), *self().retired)))

    def _create(self) -> None:
        with suppress(FileExistsError):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            _write(handle, Ring((secrets.token_bytes(KEY_BYTES),)))

    def _replace(self, ring: Ring) -> None:
        beside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), ring)
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write(handle: int, ring: Ring) -> None:
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{key.hex()}\n" for key in ring.masters)
        file.writelines(f"{_RETIRED}{key.hex()}\n" for key in ring.retired)
        file.flush()
        os.fsync(handle)


def open_ring(data: Path, secret_key: str | None) -> Callable[[], Ring]:
    """The ring of an installation: from the setting, else a KeyFile in the folder `data`. Raises SecretKeyError."""
    if secret_key is None:
        return KeyFile(data / "secret.key")
    ring = parse_ring(secret_key)
    return lambda: ring
