"""Something the provider publishes, kept: who asks us makes us ask the provider seldom.

Rules:

1. What was fetched is good for an hour. It is fetched by one at a time; the others go on with what there was, or wait
   where there was nothing.
2. Where fetching fails, what there was goes on for a day, and nobody tries again within a minute; where there was
   nothing, within `PAUSE_MS`.
3. `newer` asks before the hour is over, but never within a minute of when it was asked last. Who waited while another
   asked gets what that one got.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import structlog

from server.auth.errors import AccessError
from server.auth.oidc.fetching import FetchError

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000
PAUSE_MS = 10_000
T = TypeVar("T")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Cached(Generic[T]):
    """One published thing."""

    def __init__(self, what: str, fetch: Callable[[], Awaitable[T]], clock: Callable[[], int]) -> None:
        """`what` is its name in the log; `fetch` raises FetchError or AccessError; `clock` gives milliseconds."""
        self._what, self._fetch, self._clock = what, fetch, clock
        self._kept: tuple[T, int] | None = None
        self._asked_ms: int | None = None
        self._lock = anyio.Lock()

    async def get(self) -> T:
        """What is published. Raises AccessError (oidc_unavailable)."""
        kept = self._kept_for(HOUR_MS) or (self._kept_for(DAY_MS) if self._lock.locked() else None)
        if kept is not None:
            return kept[0]
        async with self._lock:
            pause_ms = PAUSE_MS if self._kept_for(DAY_MS) is None else MINUTE_MS
            if self._kept_for(HOUR_MS) is None and self._was_asked_before(pause_ms):
                await self._ask()
        kept = self._kept_for(DAY_MS)
        if kept is None:
            raise unavailable()
        return kept[0]

    async def newer(self) -> T | None:
        """What is published now, or None where that was asked within the minute, or cannot be had."""
        before = self._kept
        async with self._lock:
            if self._kept is before and self._was_asked_before(MINUTE_MS):
                await self._ask()
        return self._kept[0] if self._kept is not None and self._kept is not before else None

    async def _ask(self) -> None:
        self._asked_ms = self._clock()
        try:
            self._kept = (await self._fetch(), self._asked_ms)
        except FetchError as error:
            log.warning("oidc_fetch_failed", what=self._what, reason=error.reason)
        except AccessError:
            log.warning("oidc_fetch_failed", what=self._what, reason="unavailable")

    def _kept_for(self, age_ms: int) -> tuple[T, int] | None:
        return self._kept if self._kept is not None and self._clock() - self._kept[1] < age_ms else None

    def _was_asked_before(self, age_ms: int) -> bool:
        return self._asked_ms is None or self._clock() - self._asked_ms >= age_ms


def unavailable() -> AccessError:
    """The provider cannot be reached, or does not say what it should."""
    message = "The sign-in service does not answer now: try again, or sign in another way."
    return AccessError("oidc_unavailable", message, status=503, retry_after_s=PAUSE_MS // 1000)
