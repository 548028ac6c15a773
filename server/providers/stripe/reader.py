"""Reading an object anew: as it is now, with what belongs to it, and of that only what is kept here."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from server.ports import Account, Fetched
from server.providers.stripe.api import Said, StripeApi, options, said
from server.providers.stripe.events import About
from server.providers.stripe.payments import PAYMENT
from server.providers.stripe.subscriptions import SUBSCRIPTION


class Reader:
    """Reads payment intents and subscriptions."""

    def __init__(self, api: StripeApi) -> None:
        """`api` calls."""
        self._api = api

    async def read(self, account: Account, about: About) -> Fetched:
        """An object as it is now. Raises UnusableEventError, OutboundError, a DeliveryError."""
        if about.kind == "subscription":
            return await self._subscription(account, about.id)
        return await self._intent(account, about.id)

    async def _subscription(self, account: Account, name: str) -> Fetched:
        service = self._api.client(account).v1.subscriptions
        found = await said(service.retrieve_async(name, {"expand": ["customer", "latest_invoice"]}, options(account)))
        return Fetched(found.answer, _kept(SUBSCRIPTION.parse(found.body)) if found.is_success else None)

    async def _intent(self, account: Account, name: str) -> Fetched:
        service = self._api.client(account).v1.payment_intents
        found = await said(service.retrieve_async(name, {"expand": ["customer", "latest_charge"]}, options(account)))
        if not found.is_success:
            return Fetched(found.answer)
        intent = PAYMENT.parse(found.body)
        if intent.latest_charge is None or not intent.latest_charge.disputed:
            return Fetched(found.answer, _kept(intent))
        disputes = await self._disputes(account, name)
        if not disputes.is_success:
            return Fetched(disputes.answer)
        status = next((one.get("status") for one in disputes.document.get("data", [])), None)
        return Fetched(found.answer, _kept(PAYMENT.parse(to_json({**intent.model_dump(), "dispute": status}))))

    async def _disputes(self, account: Account, intent: str) -> Said:
        """The newest dispute about a payment."""
        params: Any = {"payment_intent": intent, "limit": 1}
        return await said(self._api.client(account).v1.disputes.list_async(params, options(account)))


def _kept(told: BaseModel) -> bytes:
    return told.model_dump_json().encode()
