"""The tree of errors: complete, each with a code of its own that clients may rely on."""

import inspect

from sync import errors


def test_every_error_is_exported_and_in_the_drawing() -> None:
    """What the module defines is what it names, and what it draws on top."""
    defined = {
        name for name, thing in inspect.getmembers(errors, inspect.isclass) if thing.__module__ == errors.__name__
    }
    assert set(errors.__all__) == defined
    assert all(name in (errors.__doc__ or "") for name in defined)


def test_a_code_belongs_to_one_error() -> None:
    """Stable names: a client switches on them."""
    codes = {name: getattr(errors, name).code for name in errors.__all__}
    assert len(set(codes.values())) == len(codes)
    assert all(code.replace("_", "").islower() for code in codes.values())


def test_the_docstring_is_the_default_message() -> None:
    """Nothing has no message."""
    assert str(errors.ForeignClientError()) == errors.ForeignClientError.__doc__


def test_trouble_with_numbering_names_what_is_expected() -> None:
    """And carries the verdicts so far."""
    error = errors.MutationGapError("a gap", verdicts=[{"mutation_id": 4}], last_mutation_id=4)
    assert error.members == {"verdicts": [{"mutation_id": 4}], "last_mutation_id": 4, "expected_mutation_id": 5}
    assert (error.code, error.status_hint) == ("mutation_gap", 409)
