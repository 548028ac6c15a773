"""The vectors of the idempotency key are true: computed a second way, and no two of them alike."""

from typing import Any

import pytest

from tests.kernel.keys import key_of
from tests.kernel.vectors import vectors

CASES: list[dict[str, Any]] = vectors("idempotency_key")["cases"]
PARTS = ("tenant_id", "uid", "route", "endpoint_id", "step")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_key_is_the_hash_of_its_parts(case: dict[str, str]) -> None:
    """Each part with its length before it."""
    assert key_of(*(case[part] for part in PARTS)) == case["key"]


def test_other_parts_have_other_keys() -> None:
    """Also where the parts run together to the same text."""
    assert len({tuple(case[part] for part in PARTS) for case in CASES}) == len(CASES)
    assert len({case["key"] for case in CASES}) == len(CASES)


def test_a_key_passes_any_header() -> None:
    """68 signs, letters, digits and one underscore."""
    for case in CASES:
        assert (case["key"][:4], len(case["key"])) == ("rnt_", 68)
        assert set(case["key"][4:]) <= set("0123456789abcdef")
