"""The master keys: from the settings, or from a file only its owner may read; never in a backup of the data.

The file `secret.key` has a key a line, 64 hex digits, the newest first. A rotation puts a new one on top; once nothing
is sealed with the old one, only what it derived for reading cursors is left of it: a line `cursors:` and 64 hex
digits. The file appears and is replaced as a whole, so that a crash leaves the one ring or the other, nobody ever reads
half of one, and running processes see it change. Who changes it holds a lock on its folder from reading to replacing.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

    def add(self, key: bytes) -> bool:
        """Put a new key on top; not where an old one is still there, for then somebody else just did."""
        with self._locked() as folder:
            ring = self()
            if len(ring.masters) > 1:
                return False
            self._replace(Ring((key, *ring.masters), ring.retired), folder)
            return True

    def drop_old(self, seen: Ring, kept_of: Callable[[bytes], bytes]) -> bool:
        """Leave the newest key alone; of the others only what `kept_of` gives stays, to read cursors with.

        `seen` is the ring that was found to be done with; False, and nothing is dropped, where it is another by now.
        """
        with self._locked() as folder:
            if self() != seen:
                return False
            newest, *old = seen.masters
            self._replace(Ring((newest,), (*map(kept_of, old), *seen.retired)), folder)
            return True

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The folder, open and locked against all other processes."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)

    def _create(self) -> None:
        if self._path.exists():
            return
        beside = self._write_beside(Ring((secrets.token_bytes(KEY_BYTES),)))
        try:
            with suppress(FileExistsError):  # another first start was quicker: its key is the key
                self._path.hardlink_to(beside)
        finally:
            beside.unlink()
        with self._locked() as folder:
            os.fsync(folder)

    def _replace(self, ring: Ring, folder: int) -> None:
        self._write_beside(ring).replace(self._path)
        os.fsync(folder)

    def _write_beside(self, ring: Ring) -> Path:
        beside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), ring)
        return beside


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
