"""Square: what an account of it needs, and what it can do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, SecretStr

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.pos.settings import VendorSettings
from server.providers.pos.square.api import OK, SquareApi
from server.providers.pos.square.order import ORDER
from server.providers.pos.square.poller import SquarePoller
from server.providers.pos.square.scheme import SquareScheme, notification_url


class SquareSettings(VendorSettings):
    """An account's settings.

    `access_token` asks, `signature_key` verifies (of the webhook subscription); during a rotation
    `previous_signature_key` is accepted beside it. `locations`: up to ten, divided by commas. `notification_url` is
    what the subscription says, where that is not RIENTRO_PUBLIC_URL and the address that `provider add` prints.
    """

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 10
    access_token: SecretStr
    signature_key: SecretStr
    previous_signature_key: SecretStr | None = None
    locations: Annotated[str, Field(pattern=r"^[!-+\--~]{1,50}(,[!-+\--~]{1,50}){0,9}$")]
    notification_url: Annotated[str, Field(max_length=2000)] | None = None
    base_url: Annotated[str, Field(max_length=2000)] = "https://connect.squareup.com"


class SquareProvider:
    """Square."""

    name = "square"
    settings = SquareSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int], public_url: str | None = None) -> None:
        """`outbound` makes the requests; `public_url` is where this server is reached."""
        self._api, self._public_url = SquareApi(outbound), public_url
        self._schemes: dict[str, WebhookScheme] = {"square": SquareScheme(self._api, public_url)}
        self._pollers: dict[str, Poller] = {"square": SquarePoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """None: nothing is sent to a point of sale."""
        return {}

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`square`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """`square`."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """An order."""
        return (ORDER,)

    async def health(self, account: Account) -> Health:
        """The list of locations. Raises OutboundError, DeliveryError."""
        reply = await self._api.locations(account)
        if reply.status != OK:
            return Health(good=False, said=f"it answers {reply.status} to a list of locations", status=reply.status)
        url = notification_url(account, self._public_url)
        if url is None:
            said = "the token is good; no webhook can be verified: set RIENTRO_PUBLIC_URL or notification_url"
            return Health(good=False, said=said, status=reply.status)
        return Health(good=True, said=f"the token is good; webhooks are verified as sent to {url}", status=reply.status)
