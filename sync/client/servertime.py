"""The server's time as far as this device knows it: its own clock plus the offset seen at the last answer.

Timestamps grow with every mutation, so that two edits within a millisecond, or a small step back of the clock, keep
their order. A leap back of minutes is a clock put right, and followed: else all that comes would be dated ahead.
"""

from sync.client.database import Meta
from sync.clock import MAX_AHEAD_MS, decode_instant, encode_instant

_VAGUE_MS = 10_000  # an exchange that took longer says too little about the time


def learn_time(meta: Meta, server_time: str, sent_ms: int, received_ms: int) -> None:
    """Note how far this device's clock is off; the answer was written somewhere between sending and receiving."""
    if 0 <= received_ms - sent_ms <= _VAGUE_MS:
        meta.offset_ms = decode_instant(server_time) - (sent_ms + received_ms) // 2


def now_text(meta: Meta, clock_ms: int) -> str:
    """The server's time now."""
    return encode_instant(clock_ms + meta.offset_ms)


def next_stamp(meta: Meta, clock_ms: int) -> str:
    """The timestamp of one more mutation."""
    now = clock_ms + meta.offset_ms
    if 0 <= meta.last_stamp_ms - now < MAX_AHEAD_MS:
        now = meta.last_stamp_ms + 1
    meta.last_stamp_ms = now
    return encode_instant(now)
