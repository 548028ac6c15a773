"""SQL that turns wire text into a column and a column into wire JSON, per wire type and database.

Hot paths never make a Python object of a value: what pydantic checked as text is bound as text, and what is read is
made into the answer's JSON by the database. Measured: a fifth of the cost of building dictionaries.
"""

from typing import Any, assert_never

from sync.wire import Kind, WireType


def sqlite_bind(wire: WireType, parameter: str) -> str:
    """The expression to store a parameter's wire value."""
    if wire.kind == "decimal":
        return f"CAST(replace({parameter}, '.', '') AS INTEGER)"
    return parameter


def sqlite_literal(value: Any) -> str | None:
    """A plain value of ours written out in a statement, or None for what has to be a parameter."""
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(int(value))
        case str() if value.isalnum():
            return f"'{value}'"
        case []:
            return "'[]'"
        case _:
            return None


def _parts(wire: WireType, column: str) -> tuple[str, tuple[str, ...]]:
    """A decimal as sign, whole part and places: three arguments for one printf format."""
    scale = 10**wire.places
    form = f"%s%d.%0{wire.places}d"
    return form, (f"iif({column} < 0, '-', '')", f"abs({column}) / {scale}", f"abs({column}) % {scale}")


def sqlite_text(wire: WireType, column: str) -> str:
    """The expression that gives back the wire value."""
    if wire.kind != "decimal":
        return column
    form, arguments = _parts(wire, column)
    return f"iif({column} IS NULL, NULL, printf('{form}', {', '.join(arguments)}))"


def sqlite_json(wire: WireType, column: str, *, nullable: bool) -> tuple[str, tuple[str, ...]]:
    """A printf format and its arguments, giving the column as a JSON value."""
    match wire.kind:
        case "uuid" | "instant" | "day" | "code" | "decimal" if nullable:
            return "%s", (f"coalesce('\"' || {sqlite_text(wire, column)} || '\"', 'null')",)
        case "uuid" | "instant" | "day" | "code":
            return '"%s"', (column,)
        case "decimal":
            form, arguments = _parts(wire, column)
            return f'"{form}"', arguments
        case "text":
            return "%s", (f"json_quote({column})",)
        case "flag":
            return "%s", (f"CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END",)
        case "integer" | "json":
            return "%s", (f"coalesce({column}, 'null')",)
        case _:
            assert_never(wire.kind)


_BLANKS: dict[Kind, str] = {
    "text": "''",
    "code": "''",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
    "json": "'[]'",
    "instant": "'1970-01-01T00:00:00.000Z'",
    "day": "'1970-01-01'",
    "flag": "false",
    "integer": "0",
    "decimal": "0",
}


def blank(wire: WireType, *, nullable: bool) -> str:
    """A literal for a column whose value is gone, on both databases."""
    return "NULL" if nullable else _BLANKS[wire.kind]


_POSTGRES_TYPES: dict[Kind, str] = {
    "text": "text",
    "code": "text",
    "uuid": "uuid",
    "json": "json",
    "instant": "timestamptz",
    "day": "date",
    "flag": "boolean",
    "integer": "bigint",
}


def postgres_type(wire: WireType) -> str:
    """The column's type, to read rows out of a JSON document."""
    return _POSTGRES_TYPES.get(wire.kind) or f"numeric({wire.digits},{wire.places})"


def postgres_text(wire: WireType, column: str) -> str:
    """The expression that gives back the wire value as text (flags and integers as they are)."""
    if wire.kind == "instant":
        return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    return column if wire.kind in {"flag", "integer"} else f"{column}::text"


def postgres_json(wire: WireType, column: str) -> str:
    """The expression that gives the column as JSON text."""
    match wire.kind:
        case "text":
            return f"coalesce(to_json({column})::text, 'null')"
        case "json" | "integer" | "flag":
            return f"coalesce({column}::text, 'null')"
        case _:
            return f"""coalesce('"' || {postgres_text(wire, column)} || '"', 'null')"""
