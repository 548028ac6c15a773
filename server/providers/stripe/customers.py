"""Customers of ours, told to Stripe: made once, found again by their marks, kept as they are here."""

from typing import Any

from server.ports import Answer, Call
from server.providers.stripe.api import StripeApi, options, said
from server.providers.stripe.found import look_up
from server.providers.stripe.told import fields_of, made_s, marks, name


class Customers:
    """Makes and updates customers."""

    def __init__(self, api: StripeApi) -> None:
        """`api` calls."""
        self._api = api

    async def create(self, call: Call) -> Answer:
        """A new customer, under our key."""
        params: Any = {**_told(call, empty=None), "metadata": marks(call)}
        service = self._api.client(call.account).v1.customers
        return (await said(service.create_async(params, options(call.account, call.idempotency_key)))).answer

    async def look_up(self, call: Call) -> Answer | None:
        """The customer that the call may have made. Its e-mail narrows the list, where it has one."""
        narrowed: dict[str, Any] = {"created": {"gte": made_s(call)}}
        email = fields_of(call).get("email")
        service = self._api.client(call.account).v1.customers
        return await look_up(
            call,
            lambda params: service.list_async(params, options(call.account)),
            narrowed if email is None else {**narrowed, "email": email},
        )

    async def update(self, call: Call) -> Answer:
        """The customer as it is here; one that Stripe was never told of is made."""
        customer = call.reference or name(call, "cus_")
        if customer is None:
            return await self.create(call)
        params: Any = {**_told(call, empty=""), "metadata": {"rientro_record": call.record_id}}
        service = self._api.client(call.account).v1.customers
        return (await said(service.update_async(customer, params, options(call.account, call.idempotency_key)))).answer


def _told(call: Call, empty: str | None) -> dict[str, str]:
    """Name, e-mail and telephone; what is not there is left out, or said to be `empty`, which takes it away there."""
    fields = fields_of(call)
    told = {field: fields.get(field) or empty for field in ("name", "email", "phone")}
    return {field: value for field, value in told.items() if value is not None}
