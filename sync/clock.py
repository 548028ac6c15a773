"""Timestamps: the wire's text form and the two rules that keep a stranger's clock from doing harm.

An instant on the wire is RFC 3339 in UTC with milliseconds and `Z`, always 24 characters, so that text order is time
order and no object need be made to compare two of them. A client's clock may run ahead: more than `MAX_AHEAD_MS` is
clamped. A record's own timestamps only grow: what is stored is the later of the writer's own and the previous plus 1
ms.
"""

from datetime import UTC, datetime, timedelta

MAX_AHEAD_MS = 5 * 60 * 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def encode_instant(ms: int) -> str:
    """Milliseconds since 1970 as wire text: `2026-11-23T09:14:58.201Z`."""
    return (_EPOCH + ms * _MS).isoformat(timespec="milliseconds")[:23] + "Z"


def decode_instant(text: str) -> int:
    """Wire text as milliseconds since 1970. Raises ValueError for anything that is no instant."""
    ms = (datetime.fromisoformat(text) - _EPOCH) // _MS if text[-1:] == "Z" else None
    if ms is None or encode_instant(ms) != text:  # weeks, commas and short fractions are ISO 8601, too
        raise ValueError("not an instant of the wire's form")
    return ms


def clamp(timestamp: str, now: str) -> tuple[str, bool]:
    """The timestamp to use, and whether it was too far ahead of the server's `now`."""
    if timestamp <= now:  # text order is time order; the usual case costs one comparison
        return timestamp, False
    limit = encode_instant(decode_instant(now) + MAX_AHEAD_MS)
    return (limit, True) if timestamp > limit else (timestamp, False)


def later(own: str, previous: str) -> str:
    """What is stored for a write that wins: never at or before the write it follows."""
    return own if own > previous else encode_instant(decode_instant(previous) + 1)
