"""How messages are sent: headers, bad days of a push service, and who is not there any more."""

import json

from server.webpush.composing import PACE_MS
from tests.webpush.beach import HOUR_MS, MINUTE_MS, Beach


async def test_a_message_goes_out_as_the_rfcs_say(beach: Beach) -> None:
    """Encrypted, signed for this service, with how long and how urgently; nothing of its content beside the body."""
    await beach.owner()
    await beach.service.requests()
    await beach.invoice()
    await beach.tell()
    (headers,) = await beach.service.requests()
    assert (headers["ttl"], headers["urgency"], headers["x-content-encoding"]) == ("259200", "normal", "aes128gcm")
    assert (len(headers["topic"]), headers["authorization"][:8]) == (32, "vapid t=")
    assert "Rossi" not in str(headers)


async def test_a_bad_day_is_waited_for_as_the_service_asks(beach: Beach) -> None:
    """Not a moment before its Retry-After, whether it is throttled or broken; then once."""
    browser = await beach.owner()
    await beach.invoice()
    for status in (429, 503):
        await beach.service.script({"status": status, "headers": {"Retry-After": "600"}})
        await beach.tell(11 * MINUTE_MS)
        await beach.tell(9 * MINUTE_MS)
        assert (await beach.outlet.states(), await beach.service.messages(browser)) == ({"pending": 1}, [])
    await beach.tell(2 * MINUTE_MS)
    assert (await beach.outlet.states(), len(await beach.service.messages(browser))) == ({"delivered": 1}, 1)


async def test_an_answer_that_is_lost_makes_a_message_that_replaces_the_first(beach: Beach) -> None:
    """Told twice: under one topic for the service, one tag for the browser."""
    browser = await beach.owner()
    await beach.service.requests()
    await beach.invoice()
    await beach.service.script({"status": 503, "after": True})
    await beach.tell()
    await beach.tell(2 * MINUTE_MS)
    topics = [one["topic"] for one in await beach.service.requests()]
    tags = [one["notification"]["tag"] for one in await beach.service.messages(browser)]
    assert (len(topics), len(set(topics)), len(tags), len(set(tags))) == (2, 1, 2, 1)


async def test_what_cannot_be_helped_by_waiting_is_a_dead_letter(beach: Beach) -> None:
    """A message that is too large, a request or a key that is refused; and it holds up nothing that comes later."""
    browser = await beach.owner()
    for status in (413, 400, 403):
        await beach.invoice()
        await beach.service.script({"status": status})
        await beach.tell(PACE_MS)
    assert await beach.outlet.states() == {"dead": 3}
    codes = sorted(str(row.error) for row in await beach.outlet.rows())
    assert codes == ["bad_request", "forbidden", "message_too_large"]
    await beach.invoice()
    await beach.tell(PACE_MS)
    assert await beach.outlet.states() == {"dead": 3, "delivered": 1}
    assert len(await beach.service.messages(browser)) == 1


async def test_a_subscription_the_service_knows_no_more_is_forgotten(beach: Beach) -> None:
    """410 or 404: nobody is alarmed, nothing is tried again, and the next news is not for that device."""
    expired, lost = [await beach.device("owner") for _ in range(2)]
    await beach.service.expire(await beach.subscribe(expired))
    await beach.invoice()
    await beach.tell()
    await beach.subscribe(lost)
    await beach.service.script({"status": 404})
    await beach.invoice()
    await beach.tell(PACE_MS)
    assert await beach.outlet.states() == {"answered": 2}
    assert {row.error for row in await beach.outlet.rows()} == {"subscription_gone"}
    assert await beach.subscriptions.list(beach.tenant_id) == {}
    await beach.invoice()
    assert await beach.waiting() == 0


async def test_what_was_composed_for_a_device_that_left_ends_unsent(beach: Beach) -> None:
    """It is looked up at each attempt whether anybody is still there."""
    principal = await beach.device("owner")
    browser = await beach.subscribe(principal)
    await beach.invoice()
    await beach.service.script({"status": 503})
    await beach.tell()
    await beach.admin.revoke_device(beach.tenant_id, principal.device_id)
    await beach.tell(HOUR_MS)
    (row,) = await beach.outlet.rows()
    assert (row.state, row.error, await beach.service.messages(browser)) == ("answered", "not_subscribed", [])


async def test_a_message_dies_when_its_time_is_over(beach: Beach) -> None:
    """Nobody is told on Monday that an invoice arrived on Thursday."""
    await beach.owner()
    await beach.invoice()
    await beach.service.script(*[{"status": 503}] * 3)
    await beach.tell()
    beach.clock.ms += 73 * HOUR_MS
    await beach.relay().drain()
    await beach.service.script()
    assert await beach.outlet.states() == {"dead": 1}


async def test_a_service_that_fails_for_long_is_left_alone(beach: Beach) -> None:
    """The breaker is the merchant's at that service: all its devices wait, and all are told in the end."""
    browsers = [await beach.owner() for _ in range(3)]
    settings = json.dumps({"service": beach.service.url, "breaker_failures": 1})
    await beach.outlet.change_rows("UPDATE endpoints SET settings = :settings", settings)
    await beach.invoice()
    await beach.service.script(*[{"status": 500}] * 3)
    await beach.tell()
    await beach.service.requests()
    ((state,),) = await beach.outlet.fetch("SELECT state FROM gates WHERE tenant_id = :t", beach.tenant_id)
    assert (state, await beach.outlet.states()) == ("open", {"pending": 3})
    await beach.service.script()
    for _ in range(3):
        await beach.tell(2 * MINUTE_MS)
    assert await beach.outlet.states() == {"delivered": 3}
    assert {len(await beach.service.messages(one)) for one in browsers} == {1}
