"""SumUp: what an account of it needs, and what it can do."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.pos.settings import VendorSettings
from server.providers.pos.sumup.api import OK, SumUpApi
from server.providers.pos.sumup.poller import SumUpPoller
from server.providers.pos.sumup.scheme import SumUpScheme
from server.providers.pos.sumup.transaction import REFUND, TRANSACTION

_HOOK = re.compile(r"[0-9a-f]{32}")


class SumUpSettings(VendorSettings):
    """An account's settings.

    `api_key` asks. SumUp signs nothing: its hints come to an address that ends in `hook`, made up where none is given.
    """

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 5
    api_key: SecretStr
    merchant_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
    hook: SecretStr | None = None
    previous_hook: SecretStr | None = None
    base_url: Annotated[str, Field(max_length=2000)] = "https://api.sumup.com"

    @model_validator(mode="before")
    @classmethod
    def _make_up_a_hook(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values if values.get("hook") else {**values, "hook": secrets.token_hex(16)}

    @field_validator("hook", "previous_hook")
    @classmethod
    def _fits_an_address(cls, hook: SecretStr | None) -> SecretStr | None:
        if hook is not None and not _HOOK.fullmatch(hook.get_secret_value()):
            raise ValueError("a hook is 32 hex digits in lower case")
        return hook


class SumUpProvider:
    """SumUp."""

    name = "sumup"
    settings = SumUpSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` makes the requests."""
        self._api = SumUpApi(outbound)
        self._schemes: dict[str, WebhookScheme] = {"sumup": SumUpScheme(self._api)}
        self._pollers: dict[str, Poller] = {"sumup": SumUpPoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """None: nothing is sent to a point of sale."""
        return {}

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`sumup`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """`sumup`."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """A payment, and a refund of it."""
        return (TRANSACTION, REFUND)

    async def health(self, account: Account) -> Health:
        """One line of the history. Raises OutboundError, DeliveryError."""
        status = (await self._api.merchant(account)).status
        good = status == OK
        said = "it lists transactions of this merchant" if good else f"it answers {status} to a list of transactions"
        return Health(good, said, status)
