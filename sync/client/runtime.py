"""What the client takes from the outside world: time, sleep and chance, all of which can be handed in."""

import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Runtime:
    """`clock_ms` is this device's own clock, right or wrong; `random` gives 0 ≤ x < 1."""

    clock_ms: Callable[[], int] = _now_ms
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = secrets.SystemRandom().random
    randbytes: Callable[[int], bytes] = secrets.token_bytes

    def uuid7(self) -> str:
        """A new id: time first (RFC 9562), so that ids made one after the other sort that way."""
        value = (self.clock_ms() << 80) | int.from_bytes(self.randbytes(10))
        value = value & ~(0xF << 76) | 0x7 << 76
        return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))

    def request_id(self) -> str:
        """A correlation id for one request: a random uuid (version 4) in hex."""
        return uuid.UUID(bytes=self.randbytes(16), version=4).hex
