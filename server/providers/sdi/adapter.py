"""Provider `sdi`: Italian electronic invoices, by an intermediary that tells of them and hands them over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.sdi.api import OK, InvoicetronicApi
from server.providers.sdi.invoicetronic import InvoicetronicScheme
from server.providers.sdi.mapping import INVOICE
from server.providers.sdi.poller import InvoicetronicPoller
from server.providers.sdi.seller import SellerSettings
from server.providers.sdi.sending import InvoicetronicSending
from server.resilience.limits import Limits

SHORTEST_SECRET = 16


class SdiSettings(Limits, SellerSettings):
    """An endpoint's settings, its limits among them: the rate is what the intermediary allows, 60 a minute after 200.

    `api_key` fetches, `webhook_secret` verifies; during a rotation `previous_webhook_secret` is accepted beside it.
    `company_id` picks one company of an account that has several. `backfill_days`: how far the first poll looks back;
    each invoice it finds there is fetched, and counted by the intermediary.
    `seller_…`, `series` and what belongs to them: see `SellerSettings`; without them the account only receives.
    `poll_overlap_minutes`: how much of what was read before is read again, for what becomes visible late;
    `look_back_days`: as far as one poll a day looks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 1
    burst: Annotated[int, Field(ge=1, le=1000)] | None = 200
    base_url: Annotated[str, Field(max_length=2000)] = "https://api.invoicetronic.com/v1"
    api_key: SecretStr
    webhook_secret: SecretStr
    previous_webhook_secret: SecretStr | None = None
    company_id: Annotated[int, Field(ge=1)] | None = None
    poll_every_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    poll_overlap_minutes: Annotated[int, Field(ge=0, le=7 * 24 * 60)] = 60
    look_back_days: Annotated[int, Field(ge=1, le=60)] = 7
    backfill_days: Annotated[int, Field(ge=0, le=730)] = 30
    scheme: Literal["invoicetronic"] = "invoicetronic"

    @field_validator("webhook_secret", "previous_webhook_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"a secret has at least {SHORTEST_SECRET} characters")
        return secret


class SdiProvider:
    """Invoices by SDI."""

    name = "sdi"
    settings = SdiSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` makes the requests."""
        self._api, sending = InvoicetronicApi(outbound), InvoicetronicSending(outbound)
        self._operations = {"send": sending.operation}
        self._schemes: dict[str, WebhookScheme] = {"invoicetronic": InvoicetronicScheme(self._api, sending)}
        self._pollers: dict[str, Poller] = {"invoicetronic": InvoicetronicPoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """`send`: an issued invoice."""
        return self._operations

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`invoicetronic`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """`invoicetronic`."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """An invoice."""
        return (INVOICE,)

    async def health(self, account: Account) -> Health:
        """One line of the list, without payload: it costs nothing there. Raises OutboundError, DeliveryError."""
        page = await self._api.page(account, {"page": "1", "page_size": "1"})
        status = page.answer.status
        good = status == OK
        return Health(good, "it lists invoices under this key" if good else f"it answers {status} to a list", status)
