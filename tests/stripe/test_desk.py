"""Against a Stripe of our own: lost answers, keys older than a day, refusals by class, disputes, other currencies."""

import json
from io import StringIO
from typing import Any

import pytest

from server.providers.stripe import poller
from tests.stripe.house import API_KEY, SECRET, House
from tests.stripe.signing import signed

HOUR_MS = 3_600_000


async def card_of(house: House, customer_id: str) -> None:
    """Leave a card at Stripe."""
    (customer,) = await mine(house, "customers", customer_id)
    form: Any = {"invoice_settings[default_payment_method]": "pm_1"}
    await house.ask("POST", f"/v1/customers/{customer['id']}", **form)


async def mine(house: House, kind: str, record_id: str) -> list[dict[str, Any]]:
    """What Stripe has of a record."""
    found = (await house.ask("GET", f"/v1/{kind}", limit=1000))["data"]
    return [one for one in found if one["metadata"].get("rientro_record") == record_id]


async def behave(house: House, do: str, **more: Any) -> None:
    """Misbehave at the next call."""
    await house.ask("POST", "/control/behave", do=do, **more)


async def payer(house: House) -> str:
    """A customer with a card."""
    customer_id = await house.add_customer(email=f"{house.endpoint_id}@example.org")
    await card_of(house, customer_id)
    return customer_id


async def later(house: House, ms: int) -> None:
    """Time passes, and what waits goes out."""
    house.outlet.clock.ms += ms
    await house.relay.drain()


async def test_an_answer_that_is_lost_costs_no_second_charge(at_desk: House) -> None:
    """Within the key's life it is sent again, the very same, and answered as the first."""
    customer_id = await payer(at_desk)
    await behave(at_desk, "lose", path="/v1/payment_intents")
    sale_id = await at_desk.ring_up(customer_id)
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    assert ("charge", "pending", "answer_lost") in await at_desk.deliveries()
    await later(at_desk, 120_000)
    assert await mine(at_desk, "payment_intents", sale_id) == [intent]
    assert (await at_desk.outlet.sale(sale_id)).fields["forward_reference"] == intent["id"]


async def test_a_card_that_changed_between_two_attempts_is_no_second_charge(at_desk: House) -> None:
    """The key came before with the other card: what it made then is found by its marks."""
    customer_id = await payer(at_desk)
    await behave(at_desk, "lose", path="/v1/payment_intents")
    sale_id = await at_desk.ring_up(customer_id)
    (customer,) = await mine(at_desk, "customers", customer_id)
    form: Any = {"invoice_settings[default_payment_method]": "pm_2"}
    await at_desk.ask("POST", f"/v1/customers/{customer['id']}", **form)
    await later(at_desk, 120_000)
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    assert intent["payment_method"] == "pm_1"
    assert (await at_desk.outlet.sale(sale_id)).fields["forward_reference"] == intent["id"]


@pytest.mark.parametrize("kind", ["customers", "payment_intents"])
async def test_a_key_older_than_a_day_is_looked_up_before_anything_is_made(at_desk: House, kind: str) -> None:
    """Stripe took the call, its answer was lost, and it has forgotten the key: nothing is made a second time."""
    customer_id = at_desk.outlet.new_id()
    if kind == "customers":
        await behave(at_desk, "lose")
        await at_desk.change("customers", customer_id, "create", {"name": "Ada"})
        await at_desk.relay.drain()
        record_id = customer_id
    else:
        customer_id = await at_desk.add_customer()
        await behave(at_desk, "lose")
        record_id = await at_desk.ring_up(customer_id, method="link")
    assert len(await mine(at_desk, kind, record_id)) == 1
    assert "pending" in {state for _, state, _ in await at_desk.deliveries()}
    await at_desk.ask("POST", "/control/forget", all="1")
    await later(at_desk, 25 * HOUR_MS)
    assert {state for _, state, _ in await at_desk.deliveries()} == {"delivered"}
    (made,) = await mine(at_desk, kind, record_id)
    rows = await at_desk.outlet.rows()
    assert made["id"] in {row.reference for row in rows}


async def test_where_the_look_up_finds_nothing_it_is_made(at_desk: House) -> None:
    """The call never arrived: a day later, it does."""
    await behave(at_desk, "status", status="500", times="1")
    customer_id = await at_desk.add_customer()
    assert await mine(at_desk, "customers", customer_id) == []
    await later(at_desk, 25 * HOUR_MS)
    assert len(await mine(at_desk, "customers", customer_id)) == 1


REFUSALS = [
    ("409", "idempotency_key_in_use", "pending", "in_use"),
    ("429", "rate_limit", "pending", "throttled"),
    ("500", None, "pending", "server_error"),
    ("400", "email_invalid", "dead", "email_invalid"),
    ("401", "api_key_expired", "dead", "api_key_expired"),
    ("403", None, "dead", "forbidden"),
    ("402", "card_declined", "answered", "card_declined"),
]


@pytest.mark.parametrize(("status", "code", "state", "error"), REFUSALS)
async def test_a_refusal_has_its_class_and_stripes_word(
    at_desk: House, logs: StringIO, status: str, code: str | None, state: str, error: str
) -> None:
    """What may pass is tried again, what may not is dead at once; no text of Stripe's and no secret is logged."""
    more: Any = {"error[message]": "CANARY", "headers[retry-after]": "90"}
    if code is not None:
        more["error[code]"] = code
    await behave(at_desk, "status", status=status, **more)
    await at_desk.add_customer("CANARY Rossi", email="canary@example.org")
    (row,) = await at_desk.outlet.rows()
    assert (row.state, row.error) == (state, error)
    text = logs.getvalue()
    assert not [word for word in ("CANARY", "canary@", API_KEY, SECRET) if word in text]


async def test_retry_after_is_kept(at_desk: House) -> None:
    """Not before it says."""
    more: Any = {"headers[retry-after]": "90"}
    await behave(at_desk, "status", status="429", **more)
    customer_id = await at_desk.add_customer()
    await later(at_desk, 80_000)
    assert await mine(at_desk, "customers", customer_id) == []
    await later(at_desk, 20_000)
    assert len(await mine(at_desk, "customers", customer_id)) == 1


async def test_only_what_a_request_needs_leaves(at_desk: House) -> None:
    """The SDK would tell of this machine; of its headers few go out."""
    await at_desk.add_customer()
    calls = (await at_desk.ask("GET", "/control/calls"))["calls"]
    (sent,) = [one["headers"] for one in calls if (one["key"] or "").startswith("rnt_")][-1:]
    assert not [name for name in sent if name.startswith("x-stripe")]
    assert {"authorization", "idempotency-key", "stripe-version"} <= {*sent}


async def tell_all(house: House, seen: int = 0) -> int:
    """Every event as a webhook, the newest first, for Stripe promises no order; how many there are."""
    events = (await house.ask("GET", "/v1/events", limit=1000))["data"]
    for event in events[: len(events) - seen]:
        assert await house.receive(*signed(event)) == 200
    return len(events)


async def test_a_refund_and_a_dispute_are_news_of_the_payment(at_desk: House) -> None:
    """In whatever order they are told, for the payment is read anew; twice told is once."""
    customer_id = await payer(at_desk)
    sale_id = await at_desk.ring_up(customer_id, "40.00")
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    await at_desk.ask("POST", "/control/dispute", payment_intent=intent["id"], status="needs_response")
    await at_desk.outlet.void(sale_id)
    await at_desk.relay.drain()
    await tell_all(at_desk)
    await tell_all(at_desk)
    (payment,) = [one for one in await at_desk.rows("payments") if one["sale_id"] == sale_id]
    assert (payment["status"], payment["received"], payment["refunded"]) == ("succeeded", "40.00", "40.00")
    assert payment["dispute"] == "needs_response"
    await at_desk.ask("POST", "/control/dispute", payment_intent=intent["id"], status="lost")
    await at_desk.poll()
    (payment,) = [one for one in await at_desk.rows("payments") if one["sale_id"] == sale_id]
    assert payment["dispute"] == "lost"


async def test_more_events_than_a_page_holds_are_found_each_once(
    at_desk: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is newest first; a later poll reads the overlap again and takes nothing in twice."""
    monkeypatch.setattr(poller, "PAGE_SIZE", 2)
    customer_id = await at_desk.add_customer()
    for number in range(1, 6):
        await at_desk.ring_up(customer_id, f"{number}.00", method="link")
    await at_desk.poll()
    amounts = [one["amount"] for one in await at_desk.rows("payments") if one["customer_id"] == customer_id]
    assert sorted(amounts) == ["1.00", "2.00", "3.00", "4.00", "5.00"]
    known = len(await at_desk.events())
    await at_desk.ring_up(customer_id, "6.00", method="link")
    await at_desk.poll()
    assert len(await at_desk.events()) == known + 1


async def test_a_payment_under_way_is_taken_back_when_it_is_decided(at_desk: House) -> None:
    """A transfer may take days: neither refunded nor cancelled before it is known which."""
    sale_id = await at_desk.ring_up(await payer(at_desk))
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    await at_desk.ask("POST", "/control/change", id=intent["id"], status="processing")
    await at_desk.outlet.void(sale_id)
    await at_desk.relay.drain()
    assert ("take_back", "pending", "too_early") in await at_desk.deliveries()
    await at_desk.ask("POST", "/control/change", id=intent["id"], status="succeeded")
    await later(at_desk, 120_000)
    assert ("take_back", "delivered", None) in await at_desk.deliveries()


async def test_a_void_of_what_was_not_paid_cancels_it(at_desk: House) -> None:
    """A link that waits to be paid is closed, so that nobody pays for what was voided."""
    customer_id = await at_desk.add_customer()
    sale_id = await at_desk.ring_up(customer_id, method="link")
    await at_desk.outlet.void(sale_id)
    await at_desk.relay.drain()
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    assert intent["status"] == "canceled"


async def test_what_somebody_gave_back_by_hand_is_given_back(at_desk: House) -> None:
    """A void after it finds nothing left, and is delivered."""
    sale_id = await at_desk.ring_up(await payer(at_desk))
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    await at_desk.ask("POST", "/v1/refunds", payment_intent=intent["id"])
    await at_desk.outlet.void(sale_id)
    await at_desk.relay.drain()
    assert {state for _, state, _ in await at_desk.deliveries()} == {"delivered"}


async def test_another_currency_is_quarantined_with_the_reason(at_desk: House) -> None:
    """Kept raw, for a person; no amount is taken for euros."""
    sale_id = await at_desk.ring_up(await payer(at_desk))
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    await at_desk.ask("POST", "/control/change", id=intent["id"], currency="usd")
    event = {"id": "evt_usd", "type": "payment_intent.succeeded", "created": 1, "livemode": False}
    assert await at_desk.receive(*signed({**event, "data": {"object": {"id": intent["id"]}}})) == 200
    (told,) = await at_desk.events()
    assert (told.state, told.error) == ("quarantined", "other_currency")
    assert "euros" in (told.reason or "")
    assert await at_desk.rows("payments") == []


async def test_a_body_written_anew_under_a_known_id_is_the_same_event(at_desk: House) -> None:
    """Stripe counts pending webhooks in it: that is no contradiction, and nobody has to look."""
    sale_id = await at_desk.ring_up(await payer(at_desk))
    (intent,) = await mine(at_desk, "payment_intents", sale_id)
    event = {"id": "evt_again", "type": "payment_intent.succeeded", "created": 1, "data": {"object": intent}}
    for pending in (2, 1):
        headers, body = signed({**event, "pending_webhooks": pending})
        assert json.loads(body)["pending_webhooks"] == pending
        assert await at_desk.receive(headers, body) == 200
    assert [told.state for told in await at_desk.events()] == ["done"]
