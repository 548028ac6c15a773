"""Hints: what nobody signed is heard at a secret address only, kept by its object's name, and worth one fetch."""

import json
from collections.abc import AsyncIterator, Mapping
from io import StringIO
from typing import Any

import pytest

from server.credentials.endpoints import EndpointError, split_settings
from server.inbox.hints import BURST, EVERY_MS, Buckets, HintsThrottledError
from server.inbox.listing import list_refusals
from server.middleware.access import _shown
from server.ports import Account, Answer, Fetched, UnusableEventError, WebhookEvent, WebhookRefusedError
from server.providers.http import HttpSettings
from server.providers.http.schemes import HintScheme
from sync.clock import decode_instant
from tests.inbox.told_back import HOOK, ToldBack, open_told_back
from tests.support.receiver import SECRET, Receiver


@pytest.fixture
async def shop(database_url: str, receiver: Receiver) -> AsyncIterator[ToldBack]:
    """A shop whose receiver sends hints."""
    async with open_told_back(database_url, receiver) as opened:
        await opened.bind("hint")
        yield opened


async def hint(shop: ToldBack, hook: str = HOOK, **said: Any) -> str:
    """A hint from whoever; what became of it."""
    address = f"{shop.url.rpartition('/')[2].rpartition('.')[0]}.{hook}" if hook else shop.url.rpartition("/")[2][:-33]
    body = json.dumps(said).encode()
    headers: Mapping[str, str] = {"authorization": "whatever"}
    return (await shop.desk.receive("http", address, headers, body, "corr-hint")).outcome


async def test_a_hint_wakes_a_fetch_and_what_is_fetched_counts(shop: ToldBack) -> None:
    """Also one that overtakes our call's answer; what the hint says beside the name is not even kept."""
    sale = await shop.sell(hint=True)
    await shop.processor.drain()
    _, reference = await shop.reference(sale)
    assert await shop.told() == [("done", None)]
    assert await hint(shop, id=reference, sequence=99, record_id=shop.outlet.new_id(), final=True) == "stored"
    await shop.processor.drain()
    bodies = await shop.outlet.fetch("SELECT body, headers FROM inbox")
    assert bodies == [(json.dumps({"object_id": reference}, separators=(",", ":")).encode(), "{}")] * 2
    assert await shop.outlet.fetch("SELECT watermark, final FROM identities") == [(1, 0)]
    assert await shop.sales() == 1


async def test_a_name_nobody_knows_brings_nothing(shop: ToldBack, logs: StringIO) -> None:
    """It is asked for a few times, and ignored after a minute: anybody can make names up, and nobody is called."""
    await hint(shop, id="../made-up?")
    begun_ms = shop.outlet.clock.ms
    await shop.processor.drain()
    (event,) = await shop.events()
    while event.state == "pending":
        shop.outlet.clock.ms = decode_instant(event.next_attempt_at)
        await shop.processor.drain()
        (event,) = await shop.events()
    assert (event.state, event.error, event.reason) == ("ignored", None, "There is no object under this name.")
    assert event.attempts <= 6
    assert 60_000 <= shop.outlet.clock.ms - begun_ms <= 300_000
    assert '"alarm":true' not in logs.getvalue().replace(" ", "")
    assert await shop.sales() == 0
    ((succeeded_at, failed_at),) = await shop.outlet.fetch("SELECT succeeded_at, failed_at FROM contacts")
    assert (succeeded_at is None, failed_at) == (False, None)  # the other side answered, and said what is so


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_leads_elsewhere_is_refused(shop: ToldBack, name: str) -> None:
    """As the last part of a path it would name another place, with the account's own credentials."""
    with pytest.raises(WebhookRefusedError):
        await hint(shop, id=name)
    assert await shop.told() == []


def test_another_object_than_the_one_that_was_asked_for_is_not_believed() -> None:
    """Whatever the other side's address makes of a name."""
    account = Account("t", "e", {}, {})
    event = WebhookEvent(account, "hint:1", b'{"object_id": "rcv-1"}', "2025-11-24T10:00:00.000Z")
    with pytest.raises(UnusableEventError) as raised:
        HintScheme(None).read(event, Fetched(Answer(200), b'{"id": "rcv-2", "sequence": 1}'))  # type: ignore[arg-type]  # it asks nobody
    assert raised.value.code == "another_object"


async def test_hints_that_wait_are_one(shop: ToldBack) -> None:
    """A storm about one object costs one row and one fetch."""
    assert [await hint(shop, id="rcv-1") for _ in range(20)] == ["stored", *["rearmed"] * 19]
    assert await hint(shop, id="rcv-2") == "stored"
    await shop.execute("UPDATE inbox SET state = 'leased' WHERE object_id = 'rcv-1'")
    assert [await hint(shop, id="rcv-1") for _ in range(2)] == [
        "stored",
        "rearmed",
    ]  # the fetch under way may be too old


@pytest.mark.parametrize("hook", ["", "f" * 32])
async def test_without_the_secret_part_of_the_address_it_is_refused(shop: ToldBack, hook: str) -> None:
    """And counted, and nothing is stored."""
    with pytest.raises(WebhookRefusedError):
        await hint(shop, hook, id="rcv-1")
    (refused,) = await list_refusals(shop.outlet.database, shop.outlet.tenant_id)
    assert (refused.reason, refused.times) == ("wrong_address", 1)
    assert await shop.told() == []


@pytest.mark.parametrize("said", [{}, {"id": 7}, {"id": ""}, {"id": "a b"}, {"id": "x" * 101}])
async def test_what_names_no_object_is_refused(shop: ToldBack, said: dict[str, Any]) -> None:
    """There is nothing to fetch."""
    with pytest.raises(WebhookRefusedError) as refused:
        await hint(shop, **said)
    assert refused.value.reason == "unreadable"


async def test_whoever_knows_the_address_can_make_us_ask_so_often_and_no_oftener(shop: ToldBack) -> None:
    """The bucket says when to come again; another endpoint's is another one."""
    for number in range(BURST):
        await hint(shop, id=f"rcv-{number}")
    with pytest.raises(HintsThrottledError) as throttled:
        for number in range(BURST):
            await hint(shop, id=f"other-{number}")
    assert throttled.value.retry_after_s == 1


def test_a_bucket_fills_again() -> None:
    """One more for every so many milliseconds, up to the burst, and never more."""
    buckets, now_ms = Buckets(), 1_000_000

    def taken(at_ms: int) -> int:
        for count in range(10 * BURST):
            try:
                buckets.take("e", at_ms)
            except HintsThrottledError:
                return count
        raise AssertionError

    assert taken(now_ms) == BURST
    assert taken(now_ms + 3 * EVERY_MS) == 3
    assert taken(now_ms + 1000 * BURST * EVERY_MS) == BURST
    buckets.take("another", now_ms)


def test_an_endpoint_that_gets_hints_has_an_address_of_its_own() -> None:
    """Made up where none is given, kept as a secret; and it needs to know where to fetch."""
    values = {"url": "https://example.com", "secret": SECRET, "scheme": "hint", "objects_url": "https://example.com/o"}
    hooks = {split_settings(HttpSettings, values)[1]["hook"] for _ in range(5)}
    assert {len(hook) for hook in hooks} == {32}
    assert len(hooks) == 5
    for wrong in (
        {**values, "hook": "guessable"},
        {name: text for name, text in values.items() if name != "objects_url"},
    ):
        with pytest.raises(EndpointError):
            split_settings(HttpSettings, wrong)
    assert "hook" not in split_settings(HttpSettings, {"url": "https://example.com", "secret": SECRET})[1]


def test_the_secret_part_of_an_address_is_in_no_log() -> None:
    """The access log shows where a hint came in, and not how to send one."""
    assert _shown(f"/v1/webhooks/http/{'a' * 32}.{'b' * 32}.{HOOK}") == f"/v1/webhooks/http/{'a' * 32}.{'b' * 32}.***"
    assert _shown("/v1/sync") == "/v1/sync"
    assert _shown(f"/v1/webhooks/http/{'a' * 32}.{'b' * 32}") == f"/v1/webhooks/http/{'a' * 32}.{'b' * 32}"


async def test_our_own_log_lines_do_not_hold_it_either(shop: ToldBack, logs: StringIO) -> None:
    """Heard or refused."""
    await hint(shop, id="rcv-1")
    with pytest.raises(WebhookRefusedError):
        await hint(shop, "f" * 32, id="rcv-1")
    assert HOOK not in logs.getvalue()
    assert "f" * 32 not in logs.getvalue()
