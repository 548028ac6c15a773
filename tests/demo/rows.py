"""Rows of the checker's table: what was expected, what is where, and what is wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_MOST_NAMED = 12


class Row(NamedTuple):
    """One line of the table; `found` and `wrong` are by place."""

    name: str
    expected: str
    found: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.wrong


def same(name: str, expected: T, found: Mapping[str, T], show: Callable[[T], str] = str) -> Row:
    """Every place has just this."""
    shown = {place: show(value) for place, value in found.items()}
    wrong = {place: f"{show(expected)} expected" for place, value in found.items() if value != expected}
    return Row(name, show(expected), shown, wrong)


def each_once(name: str, expected: Counter[str], found: Mapping[str, Counter[str]]) -> Row:
    """Every place has these, each as often as expected."""
    wrong = {place: _difference(expected, there) for place, there in found.items() if there != expected}
    totals = {place: f"{there.total():,}" for place, there in found.items()}
    return Row(name, f"{expected.total():,}", totals, wrong)


def none_of(name: str, found: Mapping[str, Iterable[str]]) -> Row:
    """Nothing of this kind anywhere; what there is, is named."""
    listed = {place: list(names) for place, names in found.items()}
    wrong = {place: _named(names) for place, names in listed.items() if names}
    return Row(name, "0", {place: str(len(names)) for place, names in listed.items()}, wrong)


def some_of(name: str, found: Mapping[str, int]) -> Row:
    """At least one everywhere: what is meant to go wrong did."""
    wrong = {place: "none happened" for place, count in found.items() if count == 0}
    return Row(name, "> 0", {place: str(count) for place, count in found.items()}, wrong)


def _difference(expected: Counter[str], there: Counter[str]) -> str:
    missing, more = expected - there, there - expected
    double = [name for name in more if name in expected]
    unknown = [name for name in more if name not in expected]
    told = (("missing", missing), ("double", double), ("unknown", unknown))
    return "; ".join(f"{word}: {_named(names)}" for word, names in told if names)


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
