"""Shopify: what an account of it needs, and what it can do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, SecretStr

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.pos.settings import VendorSettings
from server.providers.pos.shopify.api import OK, ShopifyApi
from server.providers.pos.shopify.order import ORDER, REFUND
from server.providers.pos.shopify.poller import ShopifyPoller
from server.providers.pos.shopify.scheme import ShopifyScheme


class ShopifySettings(VendorSettings):
    """An account's settings.

    `shop_url` is the shop's own address, https://….myshopify.com. `access_token` asks (read_orders, read_all_orders for
    what is older than 60 days), `client_secret` verifies; during a rotation `previous_client_secret` is accepted too.
    """

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 2
    burst: Annotated[int, Field(ge=1, le=1000)] | None = 40
    shop_url: Annotated[str, Field(max_length=2000)]
    access_token: SecretStr
    client_secret: SecretStr
    previous_client_secret: SecretStr | None = None


class ShopifyProvider:
    """Shopify."""

    name = "shopify"
    settings = ShopifySettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` makes the requests."""
        self._api = ShopifyApi(outbound)
        self._schemes: dict[str, WebhookScheme] = {"shopify": ShopifyScheme(self._api)}
        self._pollers: dict[str, Poller] = {"shopify": ShopifyPoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """None: nothing is sent to a point of sale."""
        return {}

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`shopify`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """`shopify`."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """An order, and a refund of it."""
        return (ORDER, REFUND)

    async def health(self, account: Account) -> Health:
        """The shop's own record. Raises OutboundError, DeliveryError."""
        status = (await self._api.shop(account)).status
        good = status == OK
        return Health(good, "the token is good" if good else f"it answers {status} to its own record", status)
