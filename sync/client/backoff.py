"""Backoff: how long to leave a server alone that does not answer, so that a thousand tills do not come back at once."""

from collections.abc import Callable

from sync.client.options import Options

_MOST_DOUBLINGS = 30


class Backoff:
    """Exponential, with full jitter: anything between nothing and the bound is equally likely."""

    def __init__(self, options: Options, random: Callable[[], float]) -> None:
        """`random` gives 0 ≤ x < 1."""
        self._options, self._random = options, random
        self._failures = 0

    def reset(self) -> None:
        """The server answered."""
        self._failures = 0

    def next_s(self, retry_after_s: float | None) -> float:
        """Seconds to wait after one more failure; never less than the server asked for."""
        doubled = self._options.backoff_base_s * float(1 << min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        asked = min(retry_after_s or 0.0, self._options.retry_after_cap_s)
        return asked + self._random() * min(self._options.backoff_cap_s, doubled)
