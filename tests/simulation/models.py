"""What is synced in the simulation: the shop's own collections, and errands, which may move between shops.

Errands have a table of their own, outside the server's metadata: migrations know nothing of it.
"""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa

from server.collections import MODELS
from server.collections.roles import STAFF
from server.engine.records import Records
from server.storage.synced import Synced, table_of
from server.storage.types import column
from sync.collection import FOR_SHOP, SyncOptions
from sync.policy import COUNTER, LAST_WRITER, MANUAL
from sync.protocol import Registry
from sync.wire import CODE, FLAG, MONEY, QUANTITY, text

GROWN = 9
"""The schema of apps and servers of the later version."""

TITLE = text(80, least=1)


class _Errand(Synced):
    """Something to be done in a shop; it can be handed to another one, and a deletion wins over what it did not see."""

    sync: ClassVar[SyncOptions] = SyncOptions("errands", may=STAFF, audience=FOR_SHOP)

    shop: Annotated[str, CODE, LAST_WRITER] = column(CODE)
    title: Annotated[str, TITLE, LAST_WRITER] = column(TITLE)
    done: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
    budget: Annotated[Decimal | None, MONEY, MANUAL] = column(MONEY, default=None, nullable=True)
    minutes: Annotated[Decimal, QUANTITY, COUNTER] = column(QUANTITY, default=Decimal(0))


class Errand(_Errand, table=True):
    """Errands as they are stored."""

    __tablename__ = "errands"
    metadata: ClassVar[sa.MetaData] = sa.MetaData()


def calm(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 9: titles are no longer shouted."""
    fields = raw.get("fields", {})
    if "title" in fields:
        fields["title"] = fields["title"].removesuffix("!")
    return raw


class CalmErrand(_Errand):
    """The same records, as a later version of the server sees them."""

    __table__: ClassVar[sa.Table] = table_of(Errand)
    sync: ClassVar[SyncOptions] = replace(Errand.sync, schema=GROWN, upcasters={GROWN: calm})


@cache
def registry(*, grown: bool = False) -> Registry:
    """The collections of the simulated server, before or after it was deployed anew."""
    return Registry((*MODELS, CalmErrand if grown else Errand))


@cache
def records(*, grown: bool = False) -> Records:
    """How they are stored; made once, for it holds nothing that changes."""
    return Records(registry(grown=grown))


def errands_ddl(dialect: sa.Dialect) -> list[str]:
    """The statements that make the errands' table and its indices."""
    table = table_of(Errand)
    made: list[sa.schema.ExecutableDDLElement] = [sa.schema.CreateTable(table)]
    made += [sa.schema.CreateIndex(index) for index in sorted(table.indexes, key=str)]
    return [str(one.compile(dialect=dialect)) for one in made]
