"""Stripe as a provider: what the outbox may ask of it, how it tells us things, and how it does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.stripe.api import API_VERSION, StripeApi, options, said
from server.providers.stripe.charges import Charges
from server.providers.stripe.customers import Customers
from server.providers.stripe.payments import PAYMENT
from server.providers.stripe.plans import Plans
from server.providers.stripe.poller import StripePoller
from server.providers.stripe.reader import Reader
from server.providers.stripe.settings import StripeSettings, is_live
from server.providers.stripe.subscriptions import SUBSCRIPTION
from server.providers.stripe.webhook import StripeScheme

KEY_LIFE_S = 23 * 3600
"""Stripe forgets a key after 24 hours at the earliest; an hour less, and nobody is late."""


class StripeProvider:
    """Payments, refunds, customers and subscriptions at Stripe."""

    name = "stripe"
    settings = StripeSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` sends."""
        self._api = StripeApi(outbound)
        customers, charges, plans = Customers(self._api), Charges(self._api), Plans(self._api)
        self._operations = {
            "create_customer": _keyed(customers.create, customers.look_up),
            "update_customer": Operation("repeatable", customers.update),
            "charge": _keyed(charges.charge, charges.look_up),
            "take_back": _keyed(charges.take_back, charges.look_up_taken_back),
            "subscribe": _keyed(plans.subscribe, plans.look_up),
            "unsubscribe": Operation("repeatable", plans.unsubscribe),
        }
        self._schemes: dict[str, WebhookScheme] = {"stripe": StripeScheme(Reader(self._api))}
        self._pollers: dict[str, Poller] = {"stripe": StripePoller(self._api)}

    def operations(self) -> Mapping[str, Operation]:
        """Those that make something are `keyed`, and looked up by our marks once the key is old."""
        return self._operations

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`stripe`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """The events list."""
        return self._pollers

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """Payments and subscriptions."""
        return (PAYMENT, SUBSCRIPTION)

    async def health(self, account: Account) -> Health:
        """One event of the list: what the poll does as well. Raises OutboundError, a DeliveryError."""
        page = await said(self._api.client(account).v1.events.list_async({"limit": 1}, options(account)))
        mode = "live" if is_live(account.secrets["api_key"]) else "test"
        if page.is_success:
            return Health(good=True, said=f"it lists events under this {mode} key, version {API_VERSION}", status=200)
        why = "" if page.answer.code is None else f" ({page.answer.code})"
        return Health(good=False, said=f"it answers {page.answer.status}{why} to this key", status=page.answer.status)


def _keyed(send: Any, look_up: Any) -> Operation:
    return Operation("keyed", send, look_up, key_life_s=KEY_LIFE_S)
