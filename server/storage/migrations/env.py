"""Alembic's environment: the connection is handed over by `server.storage.migrate`, so there is no alembic.ini."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from server import collections  # noqa: F401  # registers the tables
from server.storage import tables  # noqa: F401  # likewise
from server.storage.types import DayType, DecimalType, InstantType, JsonType, UuidType

_OURS = (DayType, DecimalType, InstantType, JsonType, UuidType)


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Spell our types so that a migration imports exactly what it names."""
    if kind != "type":
        return False
    if isinstance(item, AutoString):
        return f"sa.String({item.length})" if item.length else "sa.String()"
    if not isinstance(item, _OURS):
        return False
    name = type(item).__name__
    autogen.imports.add(f"from server.storage.types import {name}")
    return f"{name}({item.digits}, {item.places})" if isinstance(item, DecimalType) else f"{name}()"


def _same_type(_context: Any, _column: Any, _metadata_column: Any, _inspected: Any, declared: Any) -> bool | None:
    """Our types look different on each database and never change; None leaves the others to Alembic."""
    return False if isinstance(declared, _OURS) else None


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=_same_type,
    compare_server_default=False,  # they only fill old rows; PostgreSQL cannot compare JSON
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
