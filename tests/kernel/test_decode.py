"""Reading JSON from strangers: what is nested too deeply becomes its own text, and only that."""

import json
from typing import Any

import pytest

from sync.decode import decode_json

DEEPEST = 32


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = {"a": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("depth", [1, DEEPEST - 1, DEEPEST, DEEPEST + 1, 2 * DEEPEST])
def test_a_value_stays_what_it_is_up_to_the_depth_and_is_text_below(depth: int) -> None:
    """To the level, and whatever stands beside it."""
    kept = decode_json(json.dumps(_nested(depth)).encode())
    for _ in range(min(depth, DEEPEST)):
        kept = kept["a"] if isinstance(kept, dict) else kept[0]
    assert kept == (1 if depth <= DEEPEST else json.dumps(_nested(depth - DEEPEST)))


@pytest.mark.parametrize("document", [["[" * 100, "{" * 100, '\\"['], [[]] * 100, {"a": {}, "b": ["}" * 50]}])
def test_what_only_looks_deep_is_read_as_it_is(document: Any) -> None:
    """Brackets in texts, and many beside one another."""
    assert decode_json(json.dumps(document).encode()) == document
