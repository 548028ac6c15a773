"""The certified provider's documents and keys: fetched seldom, and anew when its keys roll over."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from server.auth.errors import AccessError
from server.auth.oidc.cached import DAY_MS, HOUR_MS, MINUTE_MS, PAUSE_MS
from server.auth.oidc.claims import TokenRefusedError
from server.auth.oidc.form import Provider
from server.auth.oidc.source import Source
from server.outbound import Outbound, open_outbound
from tests.oidc.provider import CALLBACK, CLIENT_ID, Identity, new_key
from tests.support.processes import reserved_port


@dataclass
class Clock:
    """Milliseconds, as a test moves them."""

    now_ms: int = 0

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """The way out, also to this machine."""
    async with open_outbound(allow_loopback=True) as opened:
        yield opened


def source_of(url: str, outbound: Outbound, clock: Clock) -> Source:
    """A process's own."""
    return Source(Provider(url, CLIENT_ID, None, CALLBACK), outbound, clock, allow_loopback=True)


async def test_keys_roll_over(identity: Identity, outbound: Outbound) -> None:
    """A token of the new key is read as soon as a minute has gone by; the old key is good no more then."""
    clock = Clock()
    await identity.say("mario")
    source, before = source_of(identity.url, outbound, clock), identity.made_up("mario")
    assert (await source.open(before)).claims["sub"] == "mario"
    await identity.use(new_key("second"))
    after = identity.made_up("mario")
    with pytest.raises(TokenRefusedError, match="unknown_key"):
        await source.open(after)
    clock.now_ms = MINUTE_MS
    assert (await source.open(after)).claims["sub"] == "mario"
    with pytest.raises(TokenRefusedError, match="unknown_key"):
        await source.open(before)


async def test_documents_are_fetched_once_an_hour(identity: Identity, outbound: Outbound) -> None:
    """And what made-up keys have fetched, once a minute."""
    clock, start = Clock(), await identity.counts()
    await identity.say("mario")
    source, good = source_of(identity.url, outbound, clock), identity.made_up("mario")
    stranger = identity.made_up("mario", new_key("stranger"), {"kid": "stranger"})
    for minute in range(3):
        clock.now_ms = minute * MINUTE_MS
        for _ in range(3):
            await source.open(good)
            with pytest.raises(TokenRefusedError):
                await source.open(stranger)
    seen = await identity.counts()
    assert {name: seen[name] - start[name] for name in seen} == {"discovery": 1, "keys": 3}
    clock.now_ms += HOUR_MS
    await source.open(good)
    later = await identity.counts()
    assert {name: later[name] - start[name] for name in later} == {"discovery": 2, "keys": 4}


async def test_a_provider_that_is_down_is_not_asked_at_once_again(outbound: Outbound) -> None:
    """Who wants to sign in is told when to come back."""
    with reserved_port() as port:
        clock = Clock()
        source = source_of(f"http://127.0.0.1:{port}", outbound, clock)
        for _ in range(3):
            with pytest.raises(AccessError) as refusal:
                await source.metadata()
            assert (refusal.value.code, refusal.value.status, refusal.value.retry_after_s) == (
                *("oidc_unavailable", 503, PAUSE_MS // 1000),
            )


async def test_what_was_published_outlives_an_outage_for_a_day(identity: Identity, outbound: Outbound) -> None:
    """Bearers go on; after a day nobody knows any more."""
    clock = Clock()
    await identity.say("mario")
    source, good = source_of(identity.url, outbound, clock), identity.made_up("mario")
    await source.open(good)
    async with open_outbound(allow_loopback=False) as nowhere:
        source.outbound = nowhere
        clock.now_ms = DAY_MS - 1
        assert (await source.open(good)).claims["sub"] == "mario"
        clock.now_ms = DAY_MS + PAUSE_MS
        with pytest.raises(AccessError, match="does not answer"):
            await source.open(good)


async def test_an_issuer_that_is_called_otherwise_is_none(identity: Identity, outbound: Outbound) -> None:
    """The document must name the very issuer, to the letter."""
    with pytest.raises(AccessError, match="does not answer"):
        await source_of(identity.url + "/", outbound, Clock()).metadata()
