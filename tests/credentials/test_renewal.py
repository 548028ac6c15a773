"""Renewals: their lease outlasts them, what they were told is stored, and what ended for good is said once."""

from typing import Any

import anyio
import pytest
import structlog

from server.credentials import oauth as oauth_client
from server.credentials.access import STORE_FOR_MS
from server.credentials.oauth import Granted, TokenError, exchange_code
from server.credentials.tokens import LEASE_MS, decide
from server.outbound.form import credentials_of
from server.resilience.errors import DeliveryError
from server.storage.database import DatabaseError
from sync.clock import encode_instant
from tests.credentials.authorizer import Authorizer
from tests.credentials.keeping import Keeper, oauth, settled


async def test_a_late_answer_loses_against_a_new_consent(keeper: Keeper) -> None:
    """Who stores names the fence of its lease, and so does who failed."""
    place, account = await keeper.connected("http://127.0.0.1:1")
    before = await keeper.store.load(place)
    fence = await keeper.store.lease(place, before, "slow")
    assert fence is not None
    assert await keeper.store.lease(place, before, "other") is None
    await keeper.store.connect(place, Granted("consented", "r2", 1000), keeper.clock())
    assert not await keeper.store.store(place, fence, Granted("late", "r3", 1000), keeper.clock(), "r1")
    assert not await keeper.store.failed(place, fence, before, TokenError("invalid_grant", refused=True), lost=True)
    assert await keeper.access.token(account) == "consented"


async def test_a_client_turned_down_once_is_asked_for_again(lite: Keeper, provider: Authorizer) -> None:
    """`invalid_grant` while the provider was being set up: nobody has to connect anything."""
    provider.script = ["invalid_grant"]
    place = await lite.endpoint(**oauth(provider.url, "client_credentials"))
    account = await lite.account(place)
    with pytest.raises(DeliveryError, match="token_not_renewed"):
        await lite.access.token(account)
    assert await lite.dates.ending(lite.clock(), 30, lite.tenant_id) == []
    lite.clock.ms += LEASE_MS
    assert await lite.access.token(account) == "access-2"


async def test_a_token_without_an_end_is_used_until_it_is_refused(keeper: Keeper, provider: Authorizer) -> None:
    """Neither `expires_in` nor a refresh token came: no clock ends it. What did end is listed for a person."""
    place, account = await keeper.connected(provider.url)
    provider.script = ["lasting"]
    code = exchange_code(keeper.outbound, credentials_of(account), "c", f"{provider.url}/back", "verifier")
    await keeper.store.connect(place, await code, keeper.clock())
    keeper.clock.ms += 365 * 86_400_000
    assert (await keeper.outbound.post(f"{provider.url}/hook", b"{}", {}, 5, account)).status == 200
    provider.revoke_access()
    for _ in range(2):
        with pytest.raises(DeliveryError, match="consent_lost"):
            await keeper.outbound.post(f"{provider.url}/hook", b"{}", {}, 5, account)
        (lost,) = await keeper.dates.ending(keeper.clock(), 30, keeper.tenant_id)
        assert (lost.endpoint_id, lost.what) == (place.endpoint_id, "consent_lost")


async def test_a_token_that_ended_and_cannot_be_renewed_is_listed(lite: Keeper) -> None:
    """Once somebody needed it."""
    place, account = await lite.connected("http://127.0.0.1:1")
    await lite.store.connect(place, Granted("short", None, 60), lite.clock())
    lite.clock.ms += 60_000
    with pytest.raises(DeliveryError, match="consent_lost"):
        await lite.access.token(account)
    (lost,) = await lite.dates.ending(lite.clock(), 30, lite.tenant_id)
    assert (lost.endpoint_id, lost.what) == (place.endpoint_id, "consent_lost")


async def test_a_renewal_ends_although_its_caller_is_gone(lite: Keeper, provider: Authorizer) -> None:
    """Once the refresh token left, its answer is stored."""
    provider.script = ["stall"]
    place, account = await lite.connected(provider.url)
    with anyio.move_on_after(0.1):
        await lite.access.token(account, refused="access-1")
    await settled(lite)
    stored = await lite.store.load(place)
    assert stored is not None
    assert stored.refresh_token == "refresh-2"


async def test_nobody_sends_a_spent_token_while_its_successor_may_still_be_stored(lite: Keeper) -> None:
    """The lease outlasts every attempt to store, and the pause before the last one."""
    place, _ = await lite.connected("http://127.0.0.1:1")
    await lite.store.lease(place, await lite.store.load(place), "storing")
    lite.clock.ms += STORE_FOR_MS + 10_000
    row = await lite.store.load(place)
    assert decide(row, encode_instant(lite.clock()), "access-1", repeatable=False) == "wait"


async def test_what_is_not_stored_in_time_is_given_up(
    lite: Keeper, provider: Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the lease ends, with an alarm that names the merchant."""
    place, account = await lite.connected(provider.url)

    async def unlucky(*_arguments: Any) -> bool:
        lite.clock.ms += STORE_FOR_MS
        raise DatabaseError("disk full")

    monkeypatch.setattr(lite.store, "store", unlucky)
    with structlog.testing.capture_logs() as lines, pytest.raises(DeliveryError, match="token_not_renewed"):
        await lite.access.token(account, refused="access-1")
    (alarm,) = [line for line in lines if line.get("alarm")]
    assert (alarm["event"], alarm["tenant_id"]) == ("token_not_stored", place.tenant_id)


async def test_who_lost_against_a_new_consent_alarms_nobody(
    lite: Keeper, provider: Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old refresh token is refused after a person connected the account anew; of a real refusal all hear."""
    place, account = await lite.connected(provider.url)
    provider.script = ["invalid_grant", "invalid_grant"]
    ask = oauth_client.refresh

    async def overtaken(*arguments: Any) -> Granted:
        await lite.store.connect(place, Granted("consented", "r2", 1000), lite.clock())
        return await ask(*arguments)

    monkeypatch.setattr(oauth_client, "refresh", overtaken)
    with structlog.testing.capture_logs() as lines:
        assert await lite.access.token(account, refused="access-1") == "consented"
        assert [line["event"] for line in lines if line.get("alarm")] == []
        monkeypatch.undo()
        with pytest.raises(DeliveryError, match="consent_lost"):
            await lite.access.token(account, refused="consented")
    assert [(line["event"], line["tenant_id"]) for line in lines if line.get("alarm")] == [
        ("token_not_renewed", place.tenant_id)
    ]


async def test_a_database_that_fails_for_a_moment_costs_no_consent(
    lite: Keeper, provider: Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is held until it is stored, and used by nobody before."""
    place, account = await lite.connected(provider.url)
    store, failing = lite.store.store, [DatabaseError("disk full"), DatabaseError("disk full")]

    async def unlucky(*arguments: Any) -> bool:
        if failing:
            assert await lite.access.token(account) == "access-1"
            raise failing.pop()
        return await store(*arguments)

    monkeypatch.setattr(lite.store, "store", unlucky)
    assert await lite.access.token(account, refused="access-1") == "access-2"
    stored = await lite.store.load(place)
    assert stored is not None
    assert (stored.refresh_token, stored.in_doubt, failing, len(provider.asked)) == ("refresh-2", False, [], 1)
