"""A clause of the oracle: what must hold, in a figure, and what breaks it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_MOST_NAMED = 6


class Clause(NamedTuple):
    """`figure` says how much was looked at; the clause holds where nothing is `wrong`."""

    name: str
    figure: str
    wrong: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.wrong

    @property
    def told(self) -> str:
        """What breaks it, shortly."""
        rest = len(self.wrong) - _MOST_NAMED
        return "; ".join(self.wrong[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def each_once(name: str, expected: Iterable[str], found: Iterable[str]) -> Clause:
    """Just these, each once."""
    wanted, there = Counter(expected), Counter(found)
    missing = [f"{one} is missing" for one in (wanted - there)]
    more = [f"{one} is there {there[one]} times, {wanted[one]} expected" for one in (there - wanted)]
    return Clause(name, f"{wanted.total():,}", [*missing, *more])


def none_of(name: str, looked_at: int, wrong: Iterable[str]) -> Clause:
    """Nothing of this kind among so many."""
    return Clause(name, f"{looked_at:,}", list(wrong))


def some_of(name: str, counts: Counter[str], wanted: Iterable[str]) -> Clause:
    """At least one of each: what was meant to go wrong did, or the run proves nothing."""
    told = ", ".join(f"{count:,} {one}" for one, count in sorted(counts.items()))
    return Clause(name, told, [f"no {one}" for one in wanted if not counts[one]])
