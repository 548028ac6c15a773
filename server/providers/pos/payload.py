"""What a point of sale tells, typed: the vendor's side of the mapping, version 1.

Amounts and quantities are decimal strings, never JSON numbers: a float that lost a cent on its way cannot be told from
one that did not. Members we do not know are left alone, for vendors add them.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter

from sync.wire import CODE, DAY, MONEY, QUANTITY, RATE, UUID, WireType, text

SALE_CREATED = "sale.created"
SALE_VOIDED = "sale.voided"
CLOSURE_CREATED = "closure.created"
VERSION: Final = 1


def _wire(kind: WireType) -> AfterValidator:
    """Checks a text as strictly as a client's, and gives it its canonical form."""
    return AfterValidator(TypeAdapter[str](kind.check).validate_python)


Money = Annotated[str, _wire(MONEY)]
Quantity = Annotated[str, _wire(QUANTITY)]
Rate = Annotated[str, _wire(RATE)]
Code = Annotated[str, _wire(CODE)]
Day = Annotated[str, _wire(DAY)]
RecordId = Annotated[str, _wire(UUID)]
Description = Annotated[str, _wire(text(200))]
Note = Annotated[str, _wire(text(500))]
Nature = Annotated[str, Field(pattern=r"^N[1-7](?:[.][0-9])?$")]
ObjectId = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Envelope(_Told):
    """Any event: what it is called, and what it says."""

    type: Annotated[str, Field(max_length=64)]
    data: dict[str, Any]


class LineV1(_Told):
    """One line of the receipt, gross. `product_id` is the product's id with us, where the vendor knows it."""

    description: Description
    quantity: Quantity
    unit_price: Money
    total: Money
    vat_rate: Rate
    nature: Nature | None = None
    product_id: RecordId | None = None


class VatV1(_Told):
    """The vendor's own sums by rate, where it gives them: gross = net + vat."""

    rate: Rate
    gross: Money
    net: Money
    vat: Money
    nature: Nature | None = None


class SaleV1(_Told):
    """A sale: `sale.created`, or whole again as `sale.voided`; version 1. `id` is the vendor's and does not change."""

    version: Literal[1]
    id: ObjectId
    terminal: Code
    receipt: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)]
    business_day: Day
    sold_at: AwareDatetime
    lines: Annotated[list[LineV1], Field(min_length=1, max_length=500)]
    total: Money
    payment_method: Code
    vat: Annotated[list[VatV1], Field(max_length=20)] | None = None
    note: Note | None = None


class PaymentV1(_Told):
    """A closing's sum of one payment method."""

    method: Code
    total: Money


Receipt = Annotated[StrictInt, Field(ge=1, le=2**53 - 1)]


class ClosureV1(_Told):
    """A terminal's closing of a day: `closure.created`, version 1. Sums are gross, without what was voided."""

    version: Literal[1]
    id: ObjectId
    terminal: Code
    business_day: Day
    closed_at: AwareDatetime
    number: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)] | None = None
    count: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)]
    first_receipt: Receipt | None = None
    last_receipt: Receipt | None = None
    voided: Annotated[list[Receipt], Field(max_length=1000)] = []
    total: Money
    vat: Annotated[list[VatV1], Field(max_length=20)]
    payments: Annotated[list[PaymentV1], Field(max_length=50)]
