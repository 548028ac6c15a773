"""What people are told: what arrives at the browser, decrypted there."""

from server.ports import Notice
from server.webpush.composing import BURST_MS, PACE_MS
from tests.webpush.beach import HOUR_MS, MINUTE_MS, Beach

NIGHT = ("22:00", "07:00")


async def test_an_invoice_that_arrives_is_told_with_supplier_and_total(beach: Beach) -> None:
    """In the exact shape that the page of this integration promises the service worker."""
    browser = await beach.owner()
    record_id = await beach.invoice()
    await beach.tell()
    (message,) = await beach.service.messages(browser)
    tag = message["notification"].pop("tag")
    assert message == {
        "web_push": 8030,
        "notification": {
            "title": "Nuova fattura: Rossi Srl, 1.234,50 €",
            "body": "Tocca per leggerla.",
            "navigate": f"https://shop.example/invoices/{record_id}",
            "lang": "it",
            "dir": "ltr",
            "silent": False,
            "data": {"kind": "invoice", "ids": [record_id], "count": 1},
        },
        "app_badge": 1,
        "mutable": True,
    }
    assert tag.startswith("invoice-")
    assert await beach.outlet.states() == {"delivered": 1}


async def test_a_burst_is_one_message_in_each_device_s_language(beach: Beach) -> None:
    """Several within the window; nothing before it is over."""
    italian, english = await beach.owner(), await beach.owner(lang="en")
    for supplier in ("Rossi Srl", "Bianchi Snc", "Verdi SpA", "Neri & Figli"):
        await beach.invoice(supplier_name=supplier, total="9.90")
        beach.clock.ms += 1000
    await beach.tell(0)
    assert await beach.service.messages(italian) == []
    await beach.tell()
    (told,) = await beach.service.messages(italian)
    assert told["notification"]["title"] == "4 nuove fatture"
    assert told["notification"]["body"] == "Rossi Srl, 9,90 € · Bianchi Snc, 9,90 € · Verdi SpA, 9,90 € · e altre 1"
    assert (told["notification"]["navigate"], told["app_badge"]) == ("https://shop.example/invoices", 4)
    assert await beach.service.titles(english) == ["4 new invoices"]
    assert (await beach.waiting(), await beach.outlet.states()) == (0, {"delivered": 2})


async def test_a_flood_is_a_message_every_few_minutes(beach: Beach) -> None:
    """However long it lasts: the first comes soon, the next at a pace."""
    browser = await beach.owner()
    for _ in range(12):
        await beach.invoice()
        await beach.tell(MINUTE_MS)
    titles = await beach.service.titles(browser)
    assert titles == ["Nuova fattura: Rossi Srl, 1.234,50 €", "5 nuove fatture", "5 nuove fatture"]
    assert PACE_MS == 5 * MINUTE_MS


async def test_what_holds_no_more_when_it_would_be_told_is_not_told(beach: Beach) -> None:
    """Somebody read one of two invoices within the window, on another device."""
    browser = await beach.owner()
    ids = [await beach.invoice(supplier_name=name) for name in ("Rossi Srl", "Bianchi Snc")]
    read = {"uid": beach.outlet.new_id(), "op": "update", "collection": "invoices", "fields": {"read": True}}
    assert await beach.outlet.push({**read, "record_id": ids[0], "base_version": 1}, role="owner") == ["applied"]
    await beach.tell()
    assert await beach.service.titles(browser) == ["Nuova fattura: Bianchi Snc, 1.234,50 €"]
    await beach.outlet.push(
        {**read, "uid": beach.outlet.new_id(), "record_id": await beach.invoice(), "base_version": 1}, role="owner"
    )
    await beach.tell(PACE_MS)
    assert (len(await beach.service.messages(browser)), await beach.waiting()) == (1, 0)


async def test_quiet_hours_hold_everything_until_they_are_over(beach: Beach) -> None:
    """It is 17:00 in Rome; what came in the night is one message at seven."""
    browser, other = await beach.owner(quiet=NIGHT), await beach.owner()
    beach.clock.ms += 6 * HOUR_MS
    for _ in range(3):
        await beach.invoice()
        await beach.tell(2 * HOUR_MS)
    assert await beach.service.messages(browser) == []
    assert len(await beach.service.messages(other)) == 3
    await beach.tell(2 * HOUR_MS - 1)
    assert await beach.service.messages(browser) == []
    await beach.tell(1)
    assert await beach.service.titles(browser) == ["3 nuove fatture"]


async def test_each_device_hears_what_its_person_may_see_and_wants(beach: Beach) -> None:
    """A till is not told of invoices, a clerk of failures; a shop's closing is for that shop; kinds can be chosen."""
    owner, clerk = await beach.owner(), await beach.subscribe(await beach.device("clerk"))
    till, porto = (
        await beach.subscribe(await beach.device("terminal")),
        await beach.subscribe(await beach.device("clerk", "porto")),
    )
    choosy = await beach.owner(kinds=["died"])
    await beach.invoice()
    await beach.notice(Notice("closing", beach.outlet.new_id(), "shop:centro"), Notice("died", beach.outlet.new_id()))
    await beach.tell()
    invoice, closing = "Nuova fattura: Rossi Srl, 1.234,50 €", "Una chiusura non quadra"
    heard = [sorted(await beach.service.titles(one)) for one in (owner, clerk, till, porto, choosy)]
    assert heard == [
        [invoice, "Qualcosa si è fermato", closing],
        [invoice, closing],
        [],
        [invoice],
        ["Qualcosa si è fermato"],
    ]


async def test_a_conflict_that_waits_is_told_to_those_who_may_decide_it(beach: Beach) -> None:
    """Once, however many candidates it gets; decided within the window, not at all."""
    browser = await beach.owner()
    record_id = beach.outlet.new_id()
    fields = {"name": "Rossi", "vat_number": "1"}
    one = {"collection": "customers", "record_id": record_id}

    async def change(op: str, **fields: str) -> list[str]:
        return await beach.outlet.push({**one, "uid": beach.outlet.new_id(), "op": op, "fields": fields}, role="owner")

    assert await change("create", **fields) == ["applied"]
    beach.outlet.client_id = beach.outlet.new_id()  # another device, who has not seen the first
    beach.outlet.last_id = 0
    await change("update", vat_number="2")
    beach.outlet.client_id, beach.outlet.last_id = beach.outlet.new_id(), 0
    assert await change("update", vat_number="3") == ["conflict"]
    await beach.tell()
    (told,) = await beach.service.messages(browser)
    assert told["notification"]["title"] == "Un conflitto aspetta una decisione"
    (conflict,) = told["notification"]["data"]["ids"]
    assert told["notification"]["navigate"] == f"https://shop.example/conflicts/{conflict}"


async def test_nothing_is_kept_where_nobody_is_subscribed(beach: Beach) -> None:
    """Nor told later to who subscribes then."""
    await beach.invoice()
    browser = await beach.owner()
    await beach.tell()
    assert (await beach.waiting(), await beach.service.messages(browser)) == (0, [])


async def test_a_restart_in_between_loses_nothing_and_tells_nothing_twice(beach: Beach) -> None:
    """Noted, then another process composes; composed, then another relay sends; composed again, it is done."""
    browser = await beach.owner()
    await beach.invoice()
    beach.clock.ms += BURST_MS
    for _ in range(2):
        await beach.notifier.once()
    assert await beach.outlet.states() == {"pending": 1}
    dead = beach.relay(owner="dead")
    await dead.drain()
    await beach.relay(owner="next").drain()
    await beach.tell(PACE_MS)
    assert len(await beach.service.messages(browser)) == 1
