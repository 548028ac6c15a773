"""The lesser parts of an invoice: pension funds, discounts on the whole, other documents named, where a party sits.

None of them decides about money or identity: what cannot be read of them is left to the unknown elements.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

from server.providers.sdi.fields import At, Frozen, decimal, iso_date, label

RelatedKind = Literal["order", "contract", "agreement", "receipt", "invoice", "delivery"]
RELATED: Final[dict[str, RelatedKind]] = {
    "DatiOrdineAcquisto": "order",
    "DatiContratto": "contract",
    "DatiConvenzione": "agreement",
    "DatiRicezione": "receipt",
    "DatiFattureCollegate": "invoice",
    "DatiDDT": "delivery",
}
"""Which element names which kind of document."""


class Fund(Frozen):
    """DatiCassaPrevidenziale: the issuer's pension contribution, which is part of the taxable amount.

    `withheld` is SI where the withholding is reckoned on it, too.
    """

    kind: Annotated[str | None, At("TipoCassa", label)]
    rate: Annotated[Decimal | None, At("AlCassa", decimal)]
    amount: Annotated[Decimal | None, At("ImportoContributoCassa", decimal)]
    taxable: Annotated[Decimal | None, At("ImponibileCassa", decimal)]
    vat_rate: Annotated[Decimal | None, At("AliquotaIVA", decimal)]
    withheld: Annotated[str | None, At("Ritenuta", label)]
    natura: Annotated[str | None, At("Natura", label)]


class Discount(Frozen):
    """ScontoMaggiorazione of the whole document: SC takes off, MG adds; a percentage, an amount, or both."""

    kind: Annotated[str | None, At("Tipo", label)]
    percent: Annotated[Decimal | None, At("Percentuale", decimal)]
    amount: Annotated[Decimal | None, At("Importo", decimal)]


class Named(Frozen):
    """Another document, by its number and day."""

    number: str | None
    day: str | None


class Referred(Named):
    """A document that the invoice names: order, contract, earlier invoice."""

    number: Annotated[str | None, At("IdDocumento", label)]
    day: Annotated[str | None, At("Data", iso_date)]


class Shipped(Named):
    """A delivery note."""

    number: Annotated[str | None, At("NumeroDDT", label)]
    day: Annotated[str | None, At("DataDDT", iso_date)]


class Related(Named):
    """A document that the invoice names, and of which kind it is; `day` is an ISO date."""

    kind: RelatedKind


class Seat(Frozen):
    """Sede."""

    street: Annotated[str | None, At("Indirizzo", label)]
    house: Annotated[str | None, At("NumeroCivico", label)]
    postcode: Annotated[str | None, At("CAP", label)]
    town: Annotated[str | None, At("Comune", label)]
    province: Annotated[str | None, At("Provincia", label)]
    country: Annotated[str | None, At("Nazione", label)]

    def line(self) -> str | None:
        """The address in one line, as on an envelope."""
        street = " ".join(filter(None, (self.street, self.house)))
        town = " ".join(filter(None, (self.postcode, self.town, self.province and f"({self.province})")))
        return ", ".join(filter(None, (street, town, self.country))) or None
