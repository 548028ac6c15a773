"""The seller, as the settings of the endpoint that sends: who issues the tenant's invoices, and how they are numbered.

They stand with the account and not with the shop: SDI knows an account by this very VAT number, a tenant's shops share
it, and the server that numbers is the one that holds the account. All of it is optional, for an endpoint that only
receives; the names are those that `server.engine.document` reads.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Line = Annotated[str, Field(min_length=1, max_length=60)]
_NEEDED = ("seller_name", "seller_vat_number", "seller_address", "seller_postcode", "seller_city")


class SellerSettings(BaseModel):
    """Part of an endpoint's settings.

    `seller_regime`: RF01 is the ordinary one, RF19 the flat-rate one. `series` stands behind each number (`17/B`), for
    whoever numbers elsewhere too; `first_number`: numbering begins there, or goes on there where it has not come so
    far. `file_prefix` begins the last part of file names, so that they differ from another program's; `transmitter` is
    who hands files over where that is not the seller: country and tax code, as its file names begin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seller_name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    seller_vat_number: Annotated[str, Field(pattern=r"^[0-9]{11}$")] | None = None
    seller_tax_code: Annotated[str, Field(pattern=r"^(?:[A-Z0-9]{16}|[0-9]{11})$")] | None = None
    seller_regime: Annotated[str, Field(pattern=r"^RF(?:0[1-9]|1[0-9]|20)$")] = "RF01"
    seller_address: _Line | None = None
    seller_postcode: Annotated[str, Field(pattern=r"^[0-9]{5}$")] | None = None
    seller_city: _Line | None = None
    seller_province: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    series: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,8}$")] = ""
    first_number: Annotated[int, Field(ge=1, le=99_999_999)] = 1
    file_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,2}$")] = "R"
    transmitter: Annotated[str, Field(pattern=r"^[A-Z]{2}[A-Z0-9]{2,16}$")] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        given = [name for name in _NEEDED if getattr(self, name) is not None]
        if given and len(given) < len(_NEEDED):
            raise ValueError(f"a seller has {', '.join(_NEEDED)}")
        return self
