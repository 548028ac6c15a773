"""Secrets that are replaced at a time, and what comes to its end."""

from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from server.credentials.dates import DAY_MS
from server.credentials.endpoints import EndpointError
from server.credentials.keys import Replacement
from server.credentials.oauth import TokenError
from server.credentials.schedule import planned, present
from server.credentials.tokens import Place
from server.ports import Call
from server.providers.http import HttpProvider, HttpSettings
from sync.clock import encode_instant
from tests.credentials.keeping import Keeper
from tests.support.receiver import SECRET
from tests.support.shop import Ids

NEXT = "whsec_" + "YW5vdGhlci1zZWNyZXQtYW5vdGhlci1zZWNyZXQtMTI="
INSTANTS = [f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 6)]


@given(st.lists(st.tuples(st.sampled_from(INSTANTS), st.sampled_from("ab"), st.text(max_size=3)), max_size=8))
def test_a_plan_says_what_its_changes_said(changes: list[tuple[str, str, str]]) -> None:
    """At every moment the last change planned before it is in force; a newer plan replaces what was planned."""
    values: dict[str, str] = {}
    for instant, name, value in changes:
        values = planned(values, {name: value}, instant, INSTANTS[0])
    for name in "ab":
        own = [(instant, value) for instant, changed, value in changes if changed == name]
        now = next((value for instant, value in reversed(own) if instant == INSTANTS[0]), None)
        last = own[-1] if own else ("", "")
        expected = last[1] if own else None
        assert present(values, INSTANTS[-1]).get(name) == expected
        if own and last[0] > INSTANTS[0]:
            assert present(values, INSTANTS[0]).get(name) == now


async def test_a_key_takes_over_at_its_time(keeper: Keeper) -> None:
    """Nothing runs at the switch; whoever opens the account then has the new one."""
    place = await keeper.endpoint(api_key="k-1")
    switch = keeper.clock() + DAY_MS
    when = await keeper.keys.replace(*place, Replacement("api_key", "k-2", switch, every_days=90))
    assert (when, (await keeper.account(place)).secrets["api_key"]) == ("2025-11-25T16:00:00.000Z", "k-1")
    (line,) = [one for one in await keeper.dates.list(keeper.tenant_id) if one.secret == "api_key"]
    assert line.replace_by == encode_instant(switch + 90 * DAY_MS)
    keeper.clock.ms = switch
    assert (await keeper.account(place)).secrets["api_key"] == "k-2"
    await keeper.keys.replace(*place, Replacement("api_key", "k-3"))
    assert (await keeper.account(place)).secrets == {"api_key": "k-3", "secret": SECRET}


async def test_until_the_switch_both_secrets_sign(lite: Keeper) -> None:
    """As Standard Webhooks has it: a receiver that knows either one accepts."""
    place = await lite.endpoint()
    await lite.keys.replace(*place, Replacement("secret", NEXT, lite.clock() + DAY_MS))
    for accepted in ((SECRET, NEXT), (NEXT,)):
        headers = HttpProvider(lite.outbound, lite.clock)._headers(*await _call(lite, place))
        for secret in (SECRET, NEXT):
            expected = Webhook(secret).sign("key", _moment(headers), "{}")
            assert (expected in headers["webhook-signature"].split()) == (secret in accepted)
        lite.clock.ms += DAY_MS


async def test_a_plan_that_is_changed_leaves_no_trace(lite: Keeper) -> None:
    """What was to come and never did signs nothing."""
    place, third = await lite.endpoint(), NEXT.replace("YW5", "ZW5")
    for secret in (NEXT, third):
        await lite.keys.replace(*place, Replacement("secret", secret, lite.clock() + DAY_MS))
    assert (await lite.account(place)).secrets["secret"] == f"{SECRET} {third}"
    lite.clock.ms += DAY_MS
    assert (await lite.account(place)).secrets["secret"] == third


async def _call(keeper: Keeper, place: Place) -> tuple[Call, HttpSettings]:
    account = await keeper.account(place)
    call = Call(account, "d", "key", "c", "sales", "r", "{}", 1)
    return call, HttpSettings.model_validate({**account.settings, **account.secrets})


async def test_an_incoming_secret_is_taken_beside_its_successor(lite: Keeper) -> None:
    """The old one goes to `previous_…` at the switch."""
    place = await lite.endpoint("pos", shop="centro", secret=SECRET)
    await lite.keys.replace(*place, Replacement("secret", NEXT))
    assert (await lite.account(place)).secrets == {"secret": NEXT, "previous_secret": SECRET}


async def test_a_secret_of_nobodys_is_refused(lite: Keeper) -> None:
    """An unknown merchant has no accounts, and so nothing to set."""
    with pytest.raises(EndpointError, match="no such account"):
        await lite.keys.replace(Ids(9)(), (await lite.endpoint()).endpoint_id, Replacement("api_key", "k"))


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (Replacement("url", "x"), "is no secret"),
        (Replacement("secret", "whsec_a"), "does not fit: secret"),
        (Replacement("client_certificate", "x"), "does not fit: client_certificate"),
    ],
)
async def test_a_secret_that_cannot_work_is_refused_and_not_shown(lite: Keeper, new: Replacement, says: str) -> None:
    """When it is set."""
    place = await lite.endpoint()
    with pytest.raises(EndpointError, match=says) as refused:
        await lite.keys.replace(*place, new)
    assert "whsec_a" not in str(refused.value)
    assert (await lite.account(place)).secrets == {"secret": SECRET}


async def test_what_ends_is_listed_before_it_ends(keeper: Keeper) -> None:
    """Certificates, keys due by our own schedule, lost consents."""
    authority = trustme.CA()
    certificate = authority.issue_cert("a@example.com", not_after=_in_days(keeper, 20))
    place = await keeper.endpoint(client_certificate=certificate.private_key_and_cert_chain_pem.bytes().decode())
    await keeper.keys.replace(*place, Replacement("api_key", "k-2", every_days=10))
    other, _ = await keeper.connected("http://127.0.0.1:1")
    held = await keeper.store.load(other)
    fence = await keeper.store.lease(other, held, "one")
    assert fence is not None
    await keeper.store.failed(other, fence, held, TokenError("invalid_grant", refused=True), lost=True)

    async def ending(days: float) -> list[tuple[str, str, str]]:
        found = await keeper.dates.ending(keeper.clock(), days, keeper.tenant_id)
        return [(one.endpoint_id, one.secret, one.what) for one in found]

    lost = (other.endpoint_id, "oauth", "consent_lost")
    key, shown = (place.endpoint_id, "api_key", "replace"), (place.endpoint_id, "client_certificate", "expires")
    assert await ending(9) == [lost]
    assert await ending(15) == [lost, key]
    assert await ending(30) == [lost, key, shown]
    listed = await keeper.dates.list(keeper.tenant_id)
    assert [one.secret for one in listed if one.endpoint_id == place.endpoint_id] == [
        "api_key",
        "client_certificate",
        "secret",
    ]


async def test_no_gap_is_planned_between_two_certificates(lite: Keeper) -> None:
    """The new one must take over before the old one ends."""
    authority = trustme.CA()

    def shown(days: int) -> str:
        made = authority.issue_cert("a@example.com", not_after=_in_days(lite, days))
        return made.private_key_and_cert_chain_pem.bytes().decode()

    place = await lite.endpoint(client_certificate=shown(10))
    with pytest.raises(EndpointError, match="the present certificate ends"):
        late = Replacement("client_certificate", shown(90), lite.clock() + 11 * DAY_MS)
        await lite.keys.replace(*place, late)
    await lite.keys.replace(*place, Replacement("client_certificate", shown(90), lite.clock() + 9 * DAY_MS))
    (line,) = [one for one in await lite.dates.list(lite.tenant_id) if one.secret == "client_certificate"]
    assert line.next_from is not None
    assert line.expires_at is not None
    assert line.expires_at > line.next_from


def _in_days(keeper: Keeper, days: int) -> datetime:
    return datetime.fromtimestamp(keeper.clock() // 1000 + days * 86_400, UTC)


def _moment(headers: dict[str, str]) -> datetime:
    return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
