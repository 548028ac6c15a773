"""Square: orders by webhook, by fetch and by search; every sale once, to the cent."""

from dataclasses import replace

import pytest

from server.ports import Account, WebhookRefusedError
from server.providers.pos.square.provider import SquareProvider
from tests.pos.counter import Counter, open_counter
from tests.support.vendors import (
    PUBLIC_URL,
    Vendors,
    square_order,
    square_payment,
    square_return,
    square_webhook,
)


async def put(vendors: Vendors, order_id: str, at: str = "2025-11-24T10:00:00Z") -> None:
    """A sale at Square."""
    await vendors.put("square", "orders", square_order(order_id, at))
    await vendors.put("square", "payments", square_payment(order_id))


async def test_a_payments_webhook_becomes_the_orders_sale(square: Counter) -> None:
    """Fetched, for Square guarantees no order; without the tip, which is no taking; at the till of its payment."""
    await put(square.vendors, "o1")
    await square.square("o1", "e1")
    await square.process()
    (sale,) = await square.sales()
    assert (sale["total"], sale["terminal_id"], sale["payment_method"]) == ("12.40", "till-7", "card")
    assert (sale["receipt_no"], sale["business_day"]) == (0, "2025-11-24")
    assert [(line["description"], line["quantity"], line["unit_price"]) for line in sale["lines"]] == [
        ("Caffè", "2.000", "1.20"),
        ("Libro", "1.000", "10.00"),
    ]
    assert sale["vat"] == [
        {"rate": "10.00", "gross": "2.40", "net": "2.18", "vat": "0.22"},
        {"rate": "4.00", "gross": "10.00", "net": "9.62", "vat": "0.38"},
    ]


async def test_webhook_redelivery_other_events_and_the_poll_make_no_second_sale(square: Counter) -> None:
    """And what no webhook told of is found, over pages."""
    for order_id in ("o1", "o2", "o3", "o4", "o5"):
        await put(square.vendors, order_id)
    first = await square.square("o1", "e1")
    again = await square.square("o1", "e1")
    assert (first.outcome, again.outcome) == ("stored", "rearmed")
    await square.square("o1", "e2", "order", version=4, state="COMPLETED")
    await square.process()
    await square.poll()
    await square.square("o2", "e3")
    await square.process()
    assert len(await square.sales()) == 5
    assert set(await square.room.states()) == {"done"}
    # o1 was told of in the very version that the search finds: it was left alone
    assert len(await square.room.fetch("SELECT 1 FROM inbox WHERE source = 'poll'")) == 4


async def test_an_event_about_an_open_order_does_not_hide_its_completion(square: Counter) -> None:
    """Told of while it was open, completed, and no webhook came any more."""
    await square.vendors.put("square", "orders", square_order("o1", state="OPEN", version=1))
    await square.square("o1", "e1", "order", version=1, state="OPEN")
    await square.process()
    assert await square.room.states() == {"ignored": 1}
    await put(square.vendors, "o1", "2025-11-24T10:05:00Z")
    await square.poll()
    assert len(await square.sales()) == 1


async def test_a_return_is_a_sale_of_its_own_day_and_negative(square: Counter) -> None:
    """Told by the refund's webhook, found by the search too; the sale itself stays."""
    await put(square.vendors, "o1")
    await square.vendors.put("square", "orders", square_return("o2", "o1"))
    await square.square("o1", "e1")
    await square.square("o2", "e2", "refund")
    await square.process()
    await square.poll()
    sold, returned = await square.sales()
    assert (sold["total"], sold["status"]) == ("12.40", "completed")
    assert (returned["total"], returned["business_day"], returned["payment_method"]) == (
        "-1.20",
        "2025-11-25",
        "refund",
    )
    assert returned["vat"] == [{"rate": "10.00", "gross": "-1.20", "net": "-1.09", "vat": "-0.11"}]
    assert returned["lines"][0]["quantity"] == "-1.000"


async def test_the_signature_covers_the_address_to_the_byte(square: Counter) -> None:
    """Another path, a slash too many, another secret or body: refused; the old secret holds during a rotation."""
    receive = square.room.receiver.receive
    for url in (square.url + "/", square.url.replace("https", "http"), PUBLIC_URL):
        body, headers = square_webhook(url, "o1", "e1")
        with pytest.raises(WebhookRefusedError, match="bad_signature"):
            await receive("square", square.address, headers, body, "corr")
    body, headers = square_webhook(square.url, "o1", "e1", key="another")
    with pytest.raises(WebhookRefusedError, match="bad_signature"):
        await receive("square", square.address, headers, body, "corr")
    body, headers = square_webhook(square.url, "o1", "e1")
    with pytest.raises(WebhookRefusedError, match="bad_signature"):
        await receive("square", square.address, headers, body.replace(b"o1", b"o2"), "corr")
    with pytest.raises(WebhookRefusedError, match="unsigned"):
        await receive("square", square.address, {}, body, "corr")
    assert (await receive("square", square.address, headers, body, "corr")).outcome == "stored"


async def test_a_line_without_tax_needs_the_settings_word(sqlite_url: str, vendors: Vendors) -> None:
    """No rate is guessed; once the settings say one, the event is replayed."""
    order = square_order("o1")
    order["line_items"][1].pop("applied_taxes")
    await vendors.put("square", "orders", order)
    await vendors.put("square", "payments", square_payment("o1"))
    async with open_counter(sqlite_url, vendors, "square") as counter:
        await counter.square("o1", "e1")
        await counter.process()
        (event,) = await counter.room.events()
        assert (event.state, event.error) == ("quarantined", "no_vat_rate")


async def test_a_page_that_square_forgot_begins_the_round_again(sqlite_url: str, vendors: Vendors) -> None:
    """A round that was cut off and goes on days later."""
    for order_id in ("o1", "o2", "o3"):
        await put(vendors, order_id)
    async with open_counter(sqlite_url, vendors, "square") as counter:
        await counter.poll()
        cursor = (
            '{"seen":"2025-11-24T00:00:00Z","deep":"2025-11-24T15:00:00Z","begin":"2025-11-24T00:00:00Z","page":"x"}'
        )
        await counter.room.execute("UPDATE polls SET cursor = :cursor", cursor)
        await counter.poll()
        assert len(await counter.sales()) == 3
        ((failures,),) = await counter.room.fetch("SELECT failures FROM polls")
        assert failures == 0


async def test_a_trial_says_what_is_missing(sqlite_url: str, vendors: Vendors) -> None:
    """A good token without an address that webhooks can be verified by is not yet good."""
    async with open_counter(sqlite_url, vendors, "square") as counter:
        (source,) = [one for one in counter.room.sources if one.name == "square"]
        assert isinstance(source, SquareProvider)
        endpoint = counter.room.endpoints["square"]
        account = Account(counter.room.shop.tenant_id, endpoint, vendors.settings["square"], vendors.secrets["square"])
        assert (await source.health(account)).good
        lost = SquareProvider(source._api._outbound, lambda: 0)
        assert "RIENTRO_PUBLIC_URL" in (await lost.health(account)).said
        refused = await source.health(replace(account, secrets={"access_token": "no"}))
        assert (refused.good, refused.status) == (False, 401)
