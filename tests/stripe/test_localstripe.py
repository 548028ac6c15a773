"""Against localstripe, with its signed webhooks: a customer, a charge, a refused card, a plan, and what got lost."""

from decimal import Decimal
from typing import Any

from tests.stripe.house import House

VISA, REFUSES = "4242424242424242", "4000000000000341"


async def stored_card(house: House, customer_id: str, number: str = VISA) -> str:
    """Leave a card at Stripe, as the customer would; Stripe's name for the customer."""
    customers = (await house.ask("GET", "/v1/customers", limit=100))["data"]
    (customer,) = [one["id"] for one in customers if one["metadata"].get("rientro_record") == customer_id]
    card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    method = (await house.ask("POST", "/v1/payment_methods", type="card", **card))["id"]
    await house.ask("POST", f"/v1/payment_methods/{method}/attach", customer=customer)
    form: Any = {"invoice_settings[default_payment_method]": method}
    await house.ask("POST", f"/v1/customers/{customer}", **form)
    return str(customer)


async def test_a_sale_by_stored_card_is_charged_and_told_of(house: House) -> None:
    """The customer is there first; the payment names the sale, exact to the cent, and a void gives it back."""
    customer_id = await house.add_customer(email="ada@example.org")
    customer = await stored_card(house, customer_id)
    sale_id = await house.ring_up(customer_id, "12.35")
    await house.told(3)  # customer created, customer updated (a card), paid
    (payment,) = await house.rows("payments")
    assert (payment["sale_id"], payment["customer_id"]) == (sale_id, customer_id)
    assert (payment["status"], payment["shop"], payment["failure"]) == ("succeeded", "centro", None)
    assert (await house.outlet.sale(sale_id)).fields["forward_reference"] == payment["provider_id"]
    intent = await house.ask("GET", f"/v1/payment_intents/{payment['provider_id']}")
    assert (intent["amount"], intent["currency"], intent["customer"]) == (1235, "eur", customer)
    await house.outlet.void(sale_id)
    await house.relay.drain()
    (refund,) = (await house.ask("GET", "/v1/refunds", payment_intent=intent["id"]))["data"]
    assert Decimal(refund["amount"]).scaleb(-2) == Decimal("12.35")
    assert await house.deliveries() == [
        ("charge", "delivered", None),
        ("create_customer", "delivered", None),
        ("take_back", "delivered", None),
    ]
