"""Against localstripe, with its signed webhooks: a customer, a charge, a refused card, a plan, and what got lost."""

from decimal import Decimal
from typing import Any

from tests.stripe.house import House
from tests.stripe.signing import signed

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
    await house.told()
    (payment,) = await house.rows("payments")
    assert (payment["sale_id"], payment["customer_id"]) == (sale_id, customer_id)
    assert (payment["status"], payment["shop"], payment["failure"]) == ("succeeded", "centro", None)
    assert (payment["amount"], payment["received"], payment["refunded"]) == ("12.35", "12.35", "0.00")
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


async def test_a_card_that_is_refused_is_news_of_the_payment_and_no_edit_of_the_sale(house: House) -> None:
    """It is answered, not retried; the sale stands, and a void of it has nothing to take back."""
    customer_id = await house.add_customer()
    await stored_card(house, customer_id, REFUSES)
    sale_id = await house.ring_up(customer_id)
    await house.told()
    (payment,) = await house.rows("payments")
    assert (payment["status"], payment["failure"]) == ("requires_payment_method", "card_declined")
    assert (payment["amount"], payment["received"], payment["refunded"]) == ("12.30", "0.00", "0.00")
    sale = (await house.outlet.sale(sale_id)).fields
    assert (sale["status"], sale["forward_status"]) == ("completed", "answered")
    await house.outlet.void(sale_id)
    await house.relay.drain()
    assert await house.deliveries() == [
        ("charge", "answered", "card_declined"),
        ("create_customer", "delivered", None),
    ]


async def test_a_customer_without_a_card_is_answered_and_one_that_stripe_does_not_know_is_dead(
    lite_house: House,
) -> None:
    """The first is the customer's business, the second the shop's: somebody has to look."""
    customer_id = await lite_house.add_customer()
    await lite_house.ring_up(customer_id)
    await lite_house.ring_up(None)
    assert await lite_house.deliveries() == [
        ("charge", "answered", "no_stored_card"),
        ("charge", "dead", "no_customer"),
        ("create_customer", "delivered", None),
    ]


async def test_a_customer_that_changes_here_changes_there(lite_house: House) -> None:
    """By the name that Stripe gave, also when what made it was tidied away; what was emptied is emptied."""
    customer_id = await lite_house.add_customer(phone="+39 02 1234", email="ada@example.org")
    await lite_house.outlet.change_rows("DELETE FROM outbox")
    await lite_house.change("customers", customer_id, "update", {"name": "Ada Bianchi", "phone": None})
    await lite_house.relay.drain()
    found = (await lite_house.ask("GET", "/v1/customers", limit=100))["data"]
    told = [(one["name"], one["phone"]) for one in found if one["metadata"].get("rientro_record") == customer_id]
    assert told == [("Ada Bianchi", "")]


async def test_a_plan_entitles_while_it_is_paid(house: House) -> None:
    """Subscribed with the customer in one change, entitled by the paid invoice, moved, and given up."""
    for name, amount in (("club", "900"), ("gold", "1900")):
        form: Any = {"id": f"{name}-{house.endpoint_id}", "product[name]": name}
        await house.ask("POST", "/v1/plans", amount=amount, currency="eur", interval="month", **form)
    customer_id = await house.add_customer()
    await stored_card(house, customer_id)
    await house.change("customers", customer_id, "update", {"plan": f"club-{house.endpoint_id}"})
    await house.relay.drain()
    await house.told()
    (subscription,) = await house.rows("subscriptions")
    assert (subscription["status"], subscription["customer_id"]) == ("active", customer_id)
    assert subscription["plan"] == f"club-{house.endpoint_id}"
    assert subscription["entitled"]
    await house.change("customers", customer_id, "update", {"plan": f"gold-{house.endpoint_id}"})
    await house.relay.drain()
    (moved,) = (await house.ask("GET", "/v1/subscriptions", status="all", limit=100))["data"][-1:]
    assert (moved["id"], moved["plan"]["id"]) == (subscription["provider_id"], f"gold-{house.endpoint_id}")
    await house.change("customers", customer_id, "update", {"plan": None})
    await house.relay.drain()
    await house.told()
    (subscription,) = await house.rows("subscriptions")
    assert (subscription["status"], bool(subscription["entitled"])) == ("canceled", False)


async def test_what_no_webhook_told_is_found_in_the_events_list_and_once(house: House) -> None:
    """A shop that was not told for a while: the poll finds the payment, and a webhook that comes after is no news."""
    await house.ask("POST", "/_config/webhooks/house", url="http://127.0.0.1:1/nobody", secret="whsec_nobody")
    customer_id = await house.add_customer()
    await stored_card(house, customer_id)
    await house.ring_up(customer_id, "7.00")
    await house.poll()
    assert [payment["status"] for payment in await house.rows("payments")] == ["succeeded"]
    events = await house.events()
    assert {event.state for event in events} == {"done"}
    assert len(events) == 1
    ours = [event.event_id for event in events]
    told = [one for one in (await house.ask("GET", "/v1/events", limit=1000))["data"] if one["id"] in ours]
    for event in told:
        assert await house.receive(*signed(event)) == 200
    await house.poll()
    assert [event.event_id for event in await house.events()] == ours
    assert len(await house.rows("payments")) == 1


async def test_an_event_of_the_other_mode_and_one_of_no_business_are_kept_and_ignored(lite_house: House) -> None:
    """With the reason."""
    live = {"id": "evt_live", "type": "payment_intent.succeeded", "created": 1, "livemode": True}
    other = {"id": "evt_other", "type": "payout.paid", "created": 1, "livemode": False}
    assert await lite_house.receive(*signed({**live, "data": {"object": {"id": "pi_1"}}})) == 200
    assert await lite_house.receive(*signed({**other, "data": {"object": {"id": "po_1"}}})) == 200
    assert sorted((event.event_id, event.state, event.reason) for event in await lite_house.events()) == [
        ("evt_live", "ignored", "it is of the other mode (live or test) than this account's key"),
        ("evt_other", "ignored", "events of this type are no business of ours"),
    ]


async def test_health_lists_one_event(lite_house: House) -> None:
    """And says which kind of key it is."""
    account = lite_house.call("", "{}", "").account
    health = await lite_house.provider.health(account)
    assert (health.good, health.status) == (True, 200)
    assert "under this test key" in health.said
