"""Provider `fattureincloud`: electronic invoices by Fatture in Cloud, which tells of them and hands them over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Credentials, Outbound
from server.outbound.form import Grant
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.sdi.fic.api import OK, FicApi
from server.providers.sdi.fic.poller import FicPoller
from server.providers.sdi.fic.scheme import FicScheme
from server.providers.sdi.fic.token import ISSUER, load_keys
from server.resilience.limits import Limits

BASE = "https://api-v2.fattureincloud.it"
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/RoHIjgY7hfXfY5p/Jy+K/FguMZ4
3TvZ9t4eN7+kxQ0MJzKtowv4CcYTFqrBm7hMB5ZWKnqLz24D6lQjSL0Ysw==
-----END PUBLIC KEY-----
"""
"""As Fatture in Cloud publishes it for the notifications of its webhooks."""
_Days = Annotated[int, Field(ge=1, le=60)]


class FicSettings(Limits, Credentials):
    """An endpoint's settings: an application's OAuth client, and the company whose documents are fetched.

    `oauth_client_id` and `oauth_client_secret` are the application's there; the owner connects the account once, by
    consent. `webhook_public_key` checks what is told: PEM, several where it is being changed. `backfill_days`: how far
    the first poll looks back; `poll_overlap_days`: whole days that every poll reads again; `look_back_days`: as far as
    one poll a day looks. The rate is half of the 300 requests in five minutes that are allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 0.5
    burst: Annotated[int, Field(ge=1, le=1000)] | None = 50
    base_url: Annotated[str, Field(max_length=2000)] = BASE
    issuer: Annotated[str, Field(max_length=2000)] = ISSUER
    company_id: Annotated[int, Field(ge=1, le=2**53)]
    webhook_public_key: Annotated[str, Field(max_length=10_000)] = PUBLIC_KEY
    oauth_grant: Grant | None = "authorization_code"
    oauth_authorize_url: Annotated[str, Field(max_length=2000)] | None = f"{BASE}/oauth/authorize"
    oauth_token_url: Annotated[str, Field(max_length=2000)] | None = f"{BASE}/oauth/token"
    oauth_client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_post"
    oauth_scope: Annotated[str, Field(max_length=1000)] | None = "received_documents:r"
    poll_every_s: Annotated[int, Field(ge=60, le=86_400)] = 1800
    poll_overlap_days: _Days = 1
    look_back_days: _Days = 7
    backfill_days: Annotated[int, Field(ge=0, le=730)] = 30
    scheme: Literal["fattureincloud"] = "fattureincloud"

    @field_validator("webhook_public_key")
    @classmethod
    def _can_be_checked_with(cls, pem: str) -> str:
        load_keys(pem)
        return pem


class FicProvider:
    """Invoices by Fatture in Cloud."""

    name = "fattureincloud"
    settings = FicSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` makes the requests."""
        self._api = FicApi(outbound)
        self._schemes: dict[str, WebhookScheme] = {"fattureincloud": FicScheme(self._api)}
        self._pollers: dict[str, Poller] = {"fattureincloud": FicPoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """None: it sends only what was made there."""
        return {}

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`fattureincloud`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """`fattureincloud`."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """None of its own: an invoice is mapped as any that comes by the exchange."""
        return ()

    async def health(self, account: Account) -> Health:
        """The company, as the account's token sees it. Raises OutboundError, DeliveryError."""
        status = (await self._api.company(account)).status
        good = status == OK
        said = "it knows this company under our consent" if good else f"it answers {status} for this company"
        return Health(good, said, status)
