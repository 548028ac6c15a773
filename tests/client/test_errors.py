"""The errors are what the head of their file draws, each with a code of its own."""

import re

from sync.client import errors

TREE = re.compile(r"^[ │├└─]*?(\w+Error)\b", re.MULTILINE)


def test_the_tree_at_the_head_is_the_tree_of_classes() -> None:
    """Names and depths agree, and `__all__` lists them all."""
    assert errors.__doc__ is not None
    drawn = [(match.group(1), (match.start(1) - match.start()) // 4) for match in TREE.finditer(errors.__doc__)]
    depths = {name: len(getattr(errors, name).__mro__) - errors.ClientError.__mro__.__len__() for name, _ in drawn}
    assert {name: depth - 1 for name, depth in drawn} == depths
    assert sorted(name for name, _ in drawn) == errors.__all__


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are stable names that programs may compare."""
    codes = [getattr(errors, name).code for name in errors.__all__]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_an_error_speaks_for_itself() -> None:
    """Its docstring is its message where nothing else is said."""
    assert str(errors.SignedOutError()) == errors.SignedOutError.__doc__
