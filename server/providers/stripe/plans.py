"""Plans that customers subscribe to: a subscription is made, moved to another plan, and ended.

A customer's plan names a price or plan at Stripe (`price_…`, or a name the shop gave a plan there). A customer has one
subscription of ours: changing the plan moves it. Nothing is subscribed before Stripe knows the customer; until then it
waits.
"""

from typing import Any

from server.ports import Answer, Call
from server.providers.stripe.api import StripeApi, options, said
from server.providers.stripe.found import look_up
from server.providers.stripe.told import TOO_EARLY, fields_of, marks, name, names
from server.resilience.errors import PermanentError

_OVER = frozenset(("canceled", "incomplete_expired"))
_MISSING = 404


class Plans:
    """Subscribes customers."""

    def __init__(self, api: StripeApi) -> None:
        """`api` calls."""
        self._api = api

    async def subscribe(self, call: Call) -> Answer:
        """Make the customer's subscription, or move it to another plan."""
        customer = name(call, "cus_")
        if customer is None:
            return Answer(TOO_EARLY)  # its own delivery is under way, or was never bound
        item = _item(str(fields_of(call)["plan"]))
        service = self._api.client(call.account).v1.subscriptions
        known = options(call.account, call.idempotency_key)
        for subscription in names(call, "sub_"):
            found = await said(service.retrieve_async(subscription, None, options(call.account)))
            if found.answer.status == _MISSING or found.document.get("status") in _OVER:
                continue
            if not found.is_success:
                return found.answer
            params: Any = {"items": [{"id": _first(found.document), **item}], "cancel_at_period_end": False}
            return (await said(service.update_async(subscription, params, known))).answer
        made: Any = {"customer": customer, "items": [item], "metadata": marks(call)}
        return (await said(service.create_async(made, known))).answer

    async def look_up(self, call: Call) -> Answer | None:
        """The subscription that the call may have made; a move is sent again, which does no harm."""
        customer = name(call, "cus_")
        if customer is None:
            return None
        service = self._api.client(call.account).v1.subscriptions
        narrowed = {"customer": customer, "status": "all"}
        return await look_up(call, lambda params: service.list_async(params, options(call.account)), narrowed)

    async def unsubscribe(self, call: Call) -> Answer:
        """End the subscription, now or with the period that is paid. Raises PermanentError."""
        subscription = call.reference or name(call, "sub_")
        if subscription is None:
            raise PermanentError("unknown_subscription")
        service = self._api.client(call.account).v1.subscriptions
        found = await said(service.retrieve_async(subscription, None, options(call.account)))
        if not found.is_success or found.document.get("status") in _OVER:
            return found.answer
        if call.account.settings.get("on_unsubscribe") == "now":
            return (await said(service.cancel_async(subscription, None, options(call.account)))).answer
        params: Any = {"cancel_at_period_end": True}
        known = options(call.account, call.idempotency_key)
        return (await said(service.update_async(subscription, params, known))).answer


def _item(plan: str) -> dict[str, str]:
    """A subscription's one line; plans with names of the shop's own are asked for by the older word."""
    return {"price" if plan.startswith("price_") else "plan": plan}


def _first(subscription: Any) -> str:
    """The line that is there."""
    return str(subscription["items"]["data"][0]["id"])
