"""Products: what the shop sells. Stock is a counter that follows the sales."""

from decimal import Decimal
from typing import Annotated, ClassVar

from server.collections.roles import MANAGED
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import SyncOptions
from sync.policy import COUNTER, LAST_WRITER, MANUAL, TAG_SET
from sync.wire import CODE, FLAG, MONEY, QUANTITY, RATE, json_of, text

TAGS = json_of(text(50, least=1).check, most=100)


class Product(Synced, table=True):
    """A product of the tenant, sold in all its shops. Price and VAT rate go together; a person decides about them."""

    __tablename__ = "products"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "products",
        may=MANAGED,
        concurrent_delete="update_wins",
        units={"pricing": ("price", "vat_rate")},
        schema=5,
    )

    name: Annotated[str, text(200, least=1), LAST_WRITER] = column(text(200))
    price: Annotated[Decimal, MONEY, MANUAL] = column(MONEY)
    vat_rate: Annotated[Decimal, RATE, MANUAL] = column(RATE)
    category: Annotated[str | None, text(100), LAST_WRITER] = column(text(100), default=None, nullable=True)
    barcode: Annotated[str | None, CODE, LAST_WRITER] = column(CODE, default=None, nullable=True)
    active: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=True)
    tags: Annotated[list[str], TAGS, TAG_SET] = column(
        TAGS, default_factory=list, sa_column_kwargs={"server_default": "[]"}
    )
    stock: Annotated[Decimal, QUANTITY, COUNTER] = column(QUANTITY, default=Decimal(0))
