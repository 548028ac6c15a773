"""Sales that Stripe collects: a payment intent for each, and what a void takes back of it.

Rules:

1. A sale is charged once, whatever happens on the way: under our key, and after the key's life only where no intent
   carries it.
2. `stored_card`: the intent is confirmed at once with the card that the customer left at Stripe. `link`: it waits to be
   paid; who pays, and how, is Stripe's to say.
3. A declined card is an answer, not a failure: the sale stands, and the payment says so.
4. A void refunds what came in, and cancels what has not. Both are asked of the intent as it is at that moment.
"""

from typing import Any

from server.ports import Answer, Call
from server.providers.stripe.api import KEY_REUSED, Said, StripeApi, options, said
from server.providers.stripe.found import look_up
from server.providers.stripe.money import EURO, to_minor
from server.providers.stripe.told import SHOP, TOO_EARLY, fields_of, made_s, marks, name
from server.resilience.errors import AnsweredError, PermanentError, UnknownError

STORED_CARD = "stored_card"
_OPEN = frozenset(("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"))
_ALREADY_REFUNDED = "charge_already_refunded"


class Charges:
    """Collects for sales."""

    def __init__(self, api: StripeApi) -> None:
        """`api` calls."""
        self._api = api

    async def charge(self, call: Call) -> Answer:
        """A payment intent. Raises PermanentError, AnsweredError."""
        params = await self._intent(call)
        if isinstance(params, Answer):
            return params
        service = self._api.client(call.account).v1.payment_intents
        answer = (await said(service.create_async(params, options(call.account, call.idempotency_key)))).answer
        if answer.code != KEY_REUSED:
            return answer
        return await self.look_up(call) or answer  # the card on file changed between two attempts

    async def look_up(self, call: Call) -> Answer | None:
        """The intent that the call may have made; a customer's intents are few."""
        narrowed: dict[str, Any] = {"created": {"gte": made_s(call)}}
        customer = name(call, "cus_")
        service = self._api.client(call.account).v1.payment_intents
        return await look_up(
            call,
            lambda params: service.list_async(params, options(call.account)),
            narrowed if customer is None else {**narrowed, "customer": customer},
        )

    async def take_back(self, call: Call) -> Answer:
        """Refund or cancel. Raises PermanentError, UnknownError."""
        intent_id = call.reference or name(call, "pi_")
        if intent_id is None:
            raise PermanentError("unknown_charge")
        client = self._api.client(call.account)
        found = await said(client.v1.payment_intents.retrieve_async(intent_id, None, options(call.account)))
        if not found.is_success:
            return found.answer
        match found.document.get("status"):
            case "succeeded":
                return await self._refund(call, intent_id)
            case "canceled":
                return found.about(intent_id)
            case status if status in _OPEN:
                known = options(call.account, f"{call.idempotency_key}_cancel")
                return (await said(client.v1.payment_intents.cancel_async(intent_id, None, known))).answer
            case "processing":
                return Answer(TOO_EARLY)
            case _:
                raise UnknownError("unknown_status")

    async def look_up_taken_back(self, call: Call) -> Answer | None:
        """The refund that the call may have made; what it may have cancelled, sending it again will show."""
        intent_id = call.reference or name(call, "pi_")
        if intent_id is None:
            return None
        service = self._api.client(call.account).v1.refunds
        return await look_up(
            call, lambda params: service.list_async(params, options(call.account)), {"payment_intent": intent_id}
        )

    async def _refund(self, call: Call, intent_id: str) -> Answer:
        params: Any = {"payment_intent": intent_id, "metadata": marks(call)}
        service = self._api.client(call.account).v1.refunds
        answer = (await said(service.create_async(params, options(call.account, call.idempotency_key)))).answer
        # Somebody gave it all back by hand: what the void is to bring about is there.
        return Answer(200, intent_id) if answer.code == _ALREADY_REFUNDED else answer

    async def _intent(self, call: Call) -> Any:
        """What the intent is made of, or the answer that says why it cannot be."""
        fields, customer = fields_of(call), name(call, "cus_")
        params: dict[str, Any] = {
            "amount": to_minor(fields["total"]),
            "currency": EURO,
            "metadata": {**marks(call), SHOP: fields["shop"]},
        }
        if customer is None and (fields["payment_method"] == STORED_CARD or fields.get("customer_id") is not None):
            raise PermanentError("unknown_customer" if fields.get("customer_id") else "no_customer")
        if customer is not None:
            params["customer"] = customer
        if fields["payment_method"] != STORED_CARD or customer is None:
            return params
        found = await said(
            self._api.client(call.account).v1.customers.retrieve_async(customer, None, options(call.account))
        )
        if not found.is_success:
            return found.answer
        stored = {"payment_method": _stored_card(found), "payment_method_types": ["card"]}
        return {**params, **stored, "confirm": True, "off_session": True}


def _stored_card(customer: Said) -> str:
    """The card a customer left. Raises AnsweredError where there is none."""
    document = customer.document
    card = (document.get("invoice_settings") or {}).get("default_payment_method") or document.get("default_source")
    if not isinstance(card, str):
        raise AnsweredError("no_stored_card")
    return card
