"""The limits of one account at a provider: how fast, how many at once, how long, and when to stop trying.

A provider's settings form derives from `Limits`; what it gives other defaults than these are its own. They are stored
with an endpoint, and read back one by one: an endpoint stored before a limit was known has its form's default.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=100_000)]


class Limits(BaseModel):
    """What one endpoint bears, all processes together, except `concurrency`: that is for each process.

    `rate` calls a second, at most `burst` of them at once (a twentieth of the rate, at least one, where it is not
    said); `window_limit` calls in any `window` seconds. The breaker opens after `breaker_failures` in a row, or when
    `breaker_share` per cent of at least `breaker_calls` failed within `breaker_window` seconds; it stays open for
    `breaker_pause` seconds, doubled with each probe that fails, up to `breaker_cap`. `deadline` bounds a whole attempt,
    in seconds; the relay's own deadline bounds it too.
    """

    model_config = ConfigDict(frozen=True)

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = None
    burst: Annotated[int, Field(ge=1, le=1000)] | None = None
    window_limit: _Count | None = None
    window: Annotated[int, Field(ge=1, le=86_400)] = 60
    concurrency: Annotated[int, Field(ge=1, le=100)] | None = None
    deadline: _Seconds | None = None
    breaker: bool = True
    breaker_failures: _Count = 10
    breaker_share: Annotated[int, Field(ge=1, le=100)] = 80
    breaker_calls: _Count = 20
    breaker_window: Annotated[int, Field(ge=1, le=86_400)] = 60
    breaker_pause: _Seconds = 1
    breaker_cap: _Seconds = 60

    @property
    def throttles(self) -> bool:
        """Whether calls are counted at all."""
        return self.rate is not None or self.window_limit is not None


def read_limits(stored: Mapping[str, Any], form: type[BaseModel] | None = None) -> Limits:
    """The limits among an endpoint's stored settings; what they do not say is as the form declares it."""
    declared = {} if form is None else {name: one.get_default() for name, one in form.model_fields.items()}
    known = Limits.model_fields.keys()
    return Limits.model_validate({name: value for name, value in {**declared, **stored}.items() if name in known})
