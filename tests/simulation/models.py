"""What is synced in the simulation: the shop's own collections, and errands, which may move between shops.

Errands have a table of their own, outside the server's metadata: migrations know nothing of it.
"""

from decimal import Decimal
from functools import cache
from typing import Annotated, ClassVar

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

TITLE = text(80, least=1)


class Errand(Synced, table=True):
    """Something to be done in a shop; it can be handed to another one, and a deletion wins over what it did not see."""

    __tablename__ = "errands"
    metadata: ClassVar[sa.MetaData] = sa.MetaData()
    sync: ClassVar[SyncOptions] = SyncOptions("errands", may=STAFF, audience=FOR_SHOP)

    shop: Annotated[str, CODE, LAST_WRITER] = column(CODE)
    title: Annotated[str, TITLE, LAST_WRITER] = column(TITLE)
    done: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
    budget: Annotated[Decimal | None, MONEY, MANUAL] = column(MONEY, default=None, nullable=True)
    minutes: Annotated[Decimal, QUANTITY, COUNTER] = column(QUANTITY, default=Decimal(0))


@cache
def registry() -> Registry:
    """The collections of the simulated server."""
    return Registry((*MODELS, Errand))


@cache
def records() -> Records:
    """How they are stored; made once, for it holds nothing that changes."""
    return Records(registry())


def errands_ddl(dialect: sa.Dialect) -> list[str]:
    """The statements that make the errands' table and its indices."""
    table = table_of(Errand)
    made: list[sa.schema.ExecutableDDLElement] = [sa.schema.CreateTable(table)]
    made += [sa.schema.CreateIndex(index) for index in sorted(table.indexes, key=str)]
    return [str(one.compile(dialect=dialect)) for one in made]
