"""What the settings of every vendor of points of sale have in common."""

from typing import Annotated

from pydantic import ConfigDict, Field

from server.providers.pos.payload import Nature, Rate
from server.resilience.limits import Limits
from sync.wire import CODE_PATTERN


class VendorSettings(Limits):
    """An account at a vendor that is told of and asked.

    `shop` is where its sales belong. `default_rate` and `default_nature`: the VAT of lines for which the vendor knows
    none. `day_begins`: the hour, in Italy, at which a business day begins. `backfill_days`: how far the first poll
    looks back; `poll_overlap_minutes`: how much of what was read is read again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shop: Annotated[str, Field(pattern=f"^{CODE_PATTERN}$")]
    default_rate: Rate | None = None
    default_nature: Nature | None = None
    day_begins: Annotated[int, Field(ge=0, le=12)] = 0
    poll_every_s: Annotated[int, Field(ge=60, le=86_400)] = 300
    poll_overlap_minutes: Annotated[int, Field(ge=0, le=7 * 24 * 60)] = 60
    backfill_days: Annotated[int, Field(ge=0, le=730)] = 30


SHORTEST_SECRET = 16
