"""Statements: named parameters become each driver's own, once."""

import pytest

from server.storage.open import open_database
from server.storage.statement import Statement


def test_a_name_used_twice_is_one_parameter() -> None:
    """Both drivers number parameters."""
    statement = Statement("UPDATE t SET a = :a WHERE b = :b AND a <> :a")
    assert statement.sql("sqlite") == "UPDATE t SET a = ?1 WHERE b = ?2 AND a <> ?1"
    assert statement.sql("postgresql") == "UPDATE t SET a = $1 WHERE b = $2 AND a <> $1"
    assert statement.arguments("sqlite", {"b": 2, "a": 1}) == [1, 2]


def test_casts_times_and_json_are_no_parameters() -> None:
    """A colon means other things too."""
    text = """SELECT x::uuid, to_char(y, 'HH24:MI:SS'), '{"deleted":true}' WHERE z = :z::text"""
    assert Statement(text).sql("postgresql") == text.replace(":z", "$1")


def test_an_unsupported_database_is_named_without_its_password() -> None:
    """A URL may hold a secret."""
    with pytest.raises(ValueError, match="kind mysql") as raised:
        open_database("mysql+x://user:secret@host/db")
    assert "secret" not in str(raised.value)
