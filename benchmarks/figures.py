"""Figures: what one measurement gave, and how repetitions become a median, a spread and ratios.

A ratio is worked out inside each repetition and its median taken: what the machine did to both halves falls out.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter, process_time
from typing import Any

from benchmarks.usage import cpu_seconds, peak_memory_mib


@dataclass(slots=True)
class Figure:
    """One measurement of `count` records or rounds. Latencies are of requests, in seconds."""

    count: int
    seconds: float = 0.0
    latencies: Sequence[float] = ()
    cpu_s: float | None = None
    memory_mib: float | None = None

    @property
    def per_s(self) -> float:
        """Records a second."""
        return self.count / self.seconds

    @property
    def cpu_ms_per_1000(self) -> float | None:
        """The server's CPU time for a thousand records, in milliseconds."""
        return None if self.cpu_s is None else self.cpu_s * 1e6 / self.count

    def latency_ms(self, share: float) -> float | None:
        """A percentile of the latencies, in milliseconds."""
        if not self.latencies:
            return None
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1000


@contextmanager
def measured(count: int, pids: Sequence[int] = (), *, own: bool = False) -> Iterator[Figure]:
    """Time what happens inside, and what these processes spend on it; memory is that of the first one alone.

    `own`: this process does the work itself; its CPU time counts, its memory tells nothing.
    """
    figure = Figure(count)
    spent, itself, started = cpu_seconds(pids), process_time(), perf_counter()
    yield figure
    figure.seconds = perf_counter() - started
    figure.cpu_s = cpu_seconds(pids) - spent + (process_time() - itself if own else 0)
    figure.memory_mib = None if own else peak_memory_mib(pids[:1])


@dataclass(slots=True)
class Results:
    """Figures by case, one for each repetition, in order."""

    cases: dict[str, list[Figure]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: str, figure: Figure) -> None:
        """Keep one repetition's figure."""
        self.cases[case].append(figure)

    def median(self, case: str, attribute: str) -> float | None:
        """The median over the repetitions, or None where it was not measured."""
        found = [value for figure in self.cases[case] if (value := getattr(figure, attribute)) is not None]
        return statistics.median(found) if found else None

    def median_latency_ms(self, case: str, share: float) -> float | None:
        """The median of a percentile."""
        found = [value for figure in self.cases[case] if (value := figure.latency_ms(share)) is not None]
        return statistics.median(found) if found else None

    def spread(self, case: str) -> tuple[float, float]:
        """The slowest and the fastest repetition, in records a second."""
        found = [figure.per_s for figure in self.cases[case]]
        return min(found), max(found)

    def ratio(self, case: str, base: str) -> float | None:
        """The median of case : base in records a second, taken within each repetition."""
        return _median([one.per_s / other.per_s for one, other in self._pairs(case, base)])

    def cpu_ratio(self, case: str, base: str) -> float | None:
        """The same by CPU time: how much of the case's is what the base needs. What else runs hardly moves it."""
        pairs = [(one.cpu_ms_per_1000, other.cpu_ms_per_1000) for one, other in self._pairs(case, base)]
        return _median([other / one for one, other in pairs if one and other])

    def _pairs(self, case: str, base: str) -> list[tuple[Figure, Figure]]:
        return list(zip(self.cases.get(case, ()), self.cases.get(base, ()), strict=False))

    def plain(self) -> dict[str, Any]:
        """For JSON: every repetition, latencies as percentiles."""
        return {case: [_plain(figure) for figure in figures] for case, figures in self.cases.items()}


def _median(found: Sequence[float]) -> float | None:
    return statistics.median(found) if found else None


def _plain(figure: Figure) -> dict[str, Any]:
    known = {name: value for name, value in asdict(figure).items() if name != "latencies"}
    shares = {f"p{int(share * 100)}_ms": figure.latency_ms(share) for share in (0.5, 0.95, 0.99)}
    return {**known, "per_s": figure.per_s, "cpu_ms_per_1000": figure.cpu_ms_per_1000, **shares}
