"""How a fault is planted: one place of the product is replaced while a context manager is open, then put back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

Make = Callable[[Any], Any]
"""From what stands there to what is planted in its place."""

Planting = Callable[[], AbstractContextManager[None]]


class Plant(NamedTuple):
    """A fault somebody might make: `says` tells it in words, `planting` puts it in."""

    name: str
    says: str
    planting: Planting


def replaced(owner: Any, name: str, make: Make) -> Planting:
    """Plant `make(original)` as `owner.name`."""

    @contextmanager
    def planting() -> Iterator[None]:
        original = getattr(owner, name)
        setattr(owner, name, make(original))
        try:
            yield
        finally:
            setattr(owner, name, original)

    return planting


def all_of(*plantings: Planting) -> Planting:
    """Several places at once, where one fault needs them."""

    @contextmanager
    def planting() -> Iterator[None]:
        with ExitStack() as stack:
            for one in plantings:
                stack.enter_context(one())
            yield

    return planting
