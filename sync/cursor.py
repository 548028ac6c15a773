"""The cursor: a position in a tenant's sequence that only the server can make, opaque to everybody else.

Layout, base64url without padding: version byte, key id (4 bytes), payload (JSON), MAC (HMAC-SHA256, first 16 bytes)
over all before it. The payload says the epoch, the newest mark, the schema, the round's target and the ranges already
read: each a position, since when its reader has missed no deletion, and the buckets it holds for. That of an owner of
many shops is long, and the wire's cursor is not: it is deflated, as its version byte says. Decoding is total:
whatever is not ours, an older layout too, raises CursorError, which the server answers with a reset.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from sync.errors import CursorError

Bucket = tuple[str, str]
"""(collection, audience)."""

_PLAIN, _DEFLATED = 2, 3
_LONG_BYTES = 4096
_MAC_BYTES = 16
_HEAD_BYTES = 5


class Mark(NamedTuple):
    """A point of the server's history: a cursor is valid only where its mark exists."""

    seq: int
    nonce: str


class Range(NamedTuple):
    """Everything up to and with `seq` was read for these buckets.

    `since`: the reader has what was there then, so it needs every tombstone after that. Of buckets read for the first
    time it is the round's target (what was deleted before was never seen), else the last completed target.
    """

    seq: int
    since: int
    buckets: frozenset[Bucket]


class Cursor(NamedTuple):
    """`target` is the head as it stood at the round's first page, or None between rounds."""

    epoch: str
    mark: Mark
    schema: int
    target: int | None
    ranges: tuple[Range, ...]


class CursorKeys:
    """The keys cursors are authenticated with: the first signs, all verify."""

    def __init__(self, *keys: bytes) -> None:
        """Keys of 32 bytes, newest first."""
        self._keys: Mapping[bytes, bytes] = {hashlib.sha256(key).digest()[:4]: key for key in keys}
        self._current = hashlib.sha256(keys[0]).digest()[:4]

    def encode(self, cursor: Cursor) -> str:
        """The opaque text of a cursor."""
        ranges = [[part.seq, part.since, sorted(part.buckets)] for part in cursor.ranges]
        payload = [cursor.epoch, *cursor.mark, cursor.schema, cursor.target, ranges]
        text = json.dumps(payload, separators=(",", ":")).encode()
        version = _PLAIN if len(text) <= _LONG_BYTES else _DEFLATED
        signed = bytes([version]) + self._current + (text if version == _PLAIN else zlib.compress(text))
        return _base64(signed + self._mac(self._current, signed))

    def decode(self, text: str) -> Cursor:
        """The cursor behind a text this server issued. Raises CursorError for anything else."""
        raw = _unbase64(text)
        signed, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        key_id = signed[1:_HEAD_BYTES]
        if len(raw) <= _HEAD_BYTES + _MAC_BYTES or signed[0] not in (_PLAIN, _DEFLATED) or key_id not in self._keys:
            raise CursorError
        if not hmac.compare_digest(mac, self._mac(key_id, signed)):
            raise CursorError
        payload = signed[_HEAD_BYTES:]  # ours, so it inflates to what was deflated here
        return _cursor(json.loads(payload if signed[0] == _PLAIN else zlib.decompress(payload)))

    def _mac(self, key_id: bytes, signed: bytes) -> bytes:
        return hmac.digest(self._keys[key_id], signed, "sha256")[:_MAC_BYTES]

    def head(self, tenant_id: str, epoch: str, seq: int) -> str:
        """An opaque name for a head: equal heads have equal names, and nothing can be read from one."""
        text = f"{tenant_id}\n{epoch}\n{seq}".encode()
        return hmac.digest(self._keys[self._current], text, "sha256")[:12].hex()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise CursorError from None
    if _base64(raw) != text:  # unused bits, padding and the other alphabet: one cursor has one text
        raise CursorError
    return raw


def _cursor(payload: Any) -> Cursor:
    epoch, mark_seq, nonce, schema, target, ranges = payload
    held = (
        Range(seq, since, frozenset((name, audience) for name, audience in buckets)) for seq, since, buckets in ranges
    )
    return Cursor(epoch, Mark(mark_seq, nonce), schema, target, tuple(held))
