"""Ids: uuid version 7 for what is made, version 5 for what is derived."""

import itertools
import secrets
import time
import uuid

_RIENTRO = uuid.UUID("6f2f6f5c-6a53-5c0e-9a3f-6f0f3f1f7d11")


_PLACES = itertools.count()


def uuid7() -> str:
    """A new id: time first, so that a new row goes to the end of its index."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def ordered(at_ms: int) -> str:
    """A uuid of version 7 of that millisecond; those this process makes for one of them are in the order of making."""
    value = at_ms << 80 | 0x7 << 76 | (next(_PLACES) & 0xFFF) << 64 | 0x2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def derived(*parts: str) -> str:
    """The id that follows from its parts: the same parts give the same id, here and after a restore."""
    return str(uuid.uuid5(_RIENTRO, "".join(f"{len(part)}:{part}" for part in parts)))
