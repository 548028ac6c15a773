"""Access tokens: renewed early and once, never at the price of the refresh token."""

from typing import Any

import anyio
import pytest

from server.credentials.oauth import Granted
from server.credentials.tokens import ABANDONED_MS, LEASE_MS, Held, Step, decide
from server.resilience.errors import DeliveryError
from tests.credentials.authorizer import Authorizer
from tests.credentials.keeping import Keeper, oauth, settled

T0, T1, T2, T3 = (f"2026-01-01T00:00:0{second}.000Z" for second in range(4))


def held(**changed: Any) -> Held:
    """A token good from T0 to T2, due at T1."""
    known = Held("a", "r", T2, T1, None, None, 1, in_doubt=False, lost=False, failures=0)
    return known._replace(**changed)


@pytest.mark.parametrize(
    ("row", "now", "refused", "step"),
    [
        (None, T0, None, "not_connected"),
        (held(), T0, None, "use"),
        (held(), T1, None, "renew_meanwhile"),
        (held(leased_until=T2), T1, None, "use"),
        (held(retry_at=T2), T1, None, "use"),
        (held(in_doubt=True), T1, None, "use"),
        (held(in_doubt=True), T2, None, "renew"),
        (held(in_doubt=True), T0, "a", "renew"),
        (held(), T2, None, "renew"),
        (held(), T0, "a", "renew"),
        (held(), T0, "older", "use"),
        (held(leased_until=T3), T2, None, "wait"),
        (held(leased_until=T2), T2, None, "renew"),
        (held(retry_at=T3), T2, None, "later"),
        (held(lost=True), T1, None, "use"),
        (held(lost=True), T2, None, "lost"),
        (held(refresh_token=""), T1, None, "use"),
        (held(refresh_token=""), T2, None, "lost"),
    ],
)
def test_what_a_caller_does(row: Held | None, now: str, refused: str | None, step: Step) -> None:
    """A usable token is used; one in doubt is put at risk only when there is nothing left to lose."""
    assert decide(row, now, refused, repeatable=False) == step


@pytest.mark.parametrize(
    ("row", "now", "step"),
    [
        (None, T0, "renew"),
        (held(refresh_token=""), T1, "renew_meanwhile"),
        (held(refresh_token="", lost=True), T1, "renew_meanwhile"),
        (held(refresh_token="", lost=True), T2, "renew"),
        (held(access_token="", refresh_token="", lost=True, in_doubt=True), T2, "renew"),
    ],
)
def test_a_client_that_asks_for_itself_may_always_ask(row: Held | None, now: str, step: Step) -> None:
    """It spends nothing by asking; that it was once turned down is no reason not to."""
    assert decide(row, now, None, repeatable=True) == step


async def test_many_callers_renew_once(keeper: Keeper, provider: Authorizer) -> None:
    """All had the same token refused; one asks, all go on with what was stored."""
    _, account = await keeper.connected(provider.url)
    got: list[str] = []

    async def caller() -> None:
        got.append(await keeper.access.token(account, refused="access-1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(caller)
    assert (set(got), len(got), len(provider.asked)) == ({"access-2"}, 50, 1)
    assert provider.asked[0] == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}


async def test_what_is_due_is_renewed_beside_the_caller(keeper: Keeper, provider: Authorizer) -> None:
    """At three quarters of its life; nobody waits, and the next caller has the new one."""
    place, account = await keeper.connected(provider.url)
    keeper.clock.ms += 749_000
    assert (await keeper.access.token(account), provider.asked) == ("access-1", [])
    keeper.clock.ms += 2000
    assert await keeper.access.token(account) == "access-1"
    with anyio.fail_after(5):
        while await keeper.access.token(account) == "access-1":
            await anyio.sleep(0.005)
    stored = await keeper.store.load(place)
    assert stored is not None
    assert (stored.access_token, stored.refresh_token, stored.leased_until) == ("access-2", "refresh-2", None)


async def test_a_lost_answer_costs_nothing_while_the_token_in_hand_is_good(lite: Keeper, provider: Authorizer) -> None:
    """The provider spent the refresh token and said so to nobody: it is not sent again before the access token ends."""
    provider.script = ["drop"]
    place, account = await lite.connected(provider.url)
    lite.clock.ms += 800_000
    assert await lite.access.token(account) == "access-1"
    await settled(lite)
    lite.clock.ms += LEASE_MS
    for _ in range(5):
        assert await lite.access.token(account) == "access-1"
    stored = await lite.store.load(place)
    assert stored is not None
    assert (stored.in_doubt, len(provider.asked)) == (True, 1)


async def test_a_request_that_never_arrived_is_made_up_for(lite: Keeper, provider: Authorizer) -> None:
    """In doubt too, but good: at the token's end it is sent once more, and all is well."""
    provider.script = ["unseen"]
    _, account = await lite.connected(provider.url)
    lite.clock.ms += 800_000
    await lite.access.token(account)
    await settled(lite)
    lite.clock.ms += 300_000
    assert await lite.access.token(account) == "access-2"
    assert (len(provider.asked), provider.refused) == (2, 0)


async def test_a_token_spent_by_a_dead_process_ends_in_a_plain_word(lite: Keeper, provider: Authorizer) -> None:
    """The answer died with it: nobody has the new refresh token, so a person must connect the account anew."""
    place, account = await lite.connected(provider.url)
    await lite.store.lease(place, await lite.store.load(place), "died")
    await provider.answer("/token", {}, b"grant_type=refresh_token&refresh_token=refresh-1")
    lite.clock.ms += LEASE_MS - 1
    assert await lite.access.token(account) == "access-1"
    lite.clock.ms += 1_000_000
    for _ in range(3):
        with pytest.raises(DeliveryError, match="consent_lost"):
            await lite.access.token(account)
    assert (len(provider.asked), provider.refused) == (2, 1)
    await lite.store.connect(place, Granted("anew", "r", 1000), lite.clock())
    assert await lite.access.token(account) == "anew"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failing_endpoint_is_left_alone_for_a_while(lite: Keeper, provider: Authorizer, status: int) -> None:
    """Callers hear so at once, and it is asked no earlier than it wished."""
    provider.script = [status]
    _, account = await lite.connected(provider.url)
    lite.clock.ms += 1_000_000
    for _ in range(3):
        with pytest.raises(DeliveryError, match="token_not_renewed"):
            await lite.access.token(account)
    assert len(provider.asked) == 1
    lite.clock.ms += 7002 if status == 429 else ABANDONED_MS + 7002
    assert await lite.access.token(account) == "access-2"


async def test_a_token_for_the_client_itself_needs_no_consent(lite: Keeper, provider: Authorizer) -> None:
    """Client credentials: asked for at the first use, and anew at its end, also when an answer was lost."""
    place = await lite.endpoint(**oauth(provider.url, "client_credentials"))
    account = await lite.account(place)
    assert await lite.access.token(account) == "access-2"
    assert provider.headers[0]["authorization"].startswith("Basic ")
    assert provider.asked == [{"grant_type": "client_credentials", "scope": "openid offline_access"}]
    provider.script = ["drop"]
    lite.clock.ms += 1_000_000
    with pytest.raises(DeliveryError, match="token_not_renewed"):
        await lite.access.token(account)
    lite.clock.ms += 2 * ABANDONED_MS
    assert await lite.access.token(account) == "access-4"


async def test_a_refused_token_is_renewed_and_the_request_sent_once_more(lite: Keeper, provider: Authorizer) -> None:
    """A 401 has no effect; a second one is the answer."""
    _, account = await lite.connected(provider.url)
    provider.revoke_access()
    reply = await lite.outbound.post(f"{provider.url}/hook", b"{}", {}, 5, account)
    assert (reply.status, provider.called, len(provider.asked)) == (200, [401, 200], 1)


async def test_an_account_nobody_connected_says_so(lite: Keeper, provider: Authorizer) -> None:
    """Nothing is sent without a token."""
    account = await lite.account(await lite.endpoint(**oauth(provider.url)))
    with pytest.raises(DeliveryError, match="not_connected"):
        await lite.outbound.post(f"{provider.url}/hook", b"{}", {}, 5, account)
    assert provider.called == []
