"""Who is reached: subscriptions, their keys, and their end."""

import json

import pytest
from pydantic import SecretStr

from server.audit import OPERATOR
from server.auth.errors import AccessError
from server.auth.readmission import readmit
from server.credentials.vault import SealedError, Vault
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from server.webpush.hosts import Hosts
from server.webpush.keys import DAY_MS
from server.webpush.subscriptions import Wanted
from sync.clock import encode_instant
from tests.webpush.beach import HOUR_MS, Beach

_PERSON = Statement(
    """INSERT INTO people (tenant_id, person_id, name, role, shop, failures, created_at)
       VALUES (:tenant_id, :person_id, 'Anna', 'owner', 'centro', 0, :now)"""
)
_SESSION = Statement(
    """INSERT INTO sessions (tenant_id, session_id, device_id, person_id, generation, rotated_at, created_at,
         expires_at)
       VALUES (:tenant_id, :session_id, :device_id, :person_id, 1, :now, :now, :later)"""
)


async def test_a_new_key_loses_nobody(beach: Beach) -> None:
    """Who subscribed with the old one is reached by it until they come over, and then the old one is forgotten."""
    principal = await beach.device("owner")
    browser = await beach.subscribe(principal)
    (old,) = await beach.keys.known(beach.tenant_id)
    new, superseded = await beach.keys.rotate(beach.tenant_id, OPERATOR)
    assert (superseded.public_key, superseded.subscriptions, new.subscriptions) == (old.public_key, 1, 0)
    await beach.invoice()
    await beach.tell(2 * DAY_MS)
    assert len(await beach.service.messages(browser)) == 1
    mine = await beach.subscriptions.mine(principal)
    assert mine is not None
    assert (mine.endpoint, mine.subscriber.public_key) == (browser.endpoint, old.public_key)
    again = await beach.subscribe(principal)
    assert [key.public_key for key in await beach.keys.known(beach.tenant_id)] == [new.public_key]
    await beach.invoice()
    await beach.tell(HOUR_MS)
    assert (len(await beach.service.messages(browser)), len(await beach.service.messages(again))) == (1, 1)


async def test_news_on_its_way_follows_a_device_to_its_new_subscription(beach: Beach) -> None:
    """The service was down when the key was rotated: what waited goes where the device is reached now."""
    principal = await beach.device("owner")
    before = await beach.subscribe(principal)
    await beach.invoice()
    await beach.service.script({"status": 503})
    await beach.tell()
    await beach.keys.rotate(beach.tenant_id, OPERATOR)
    after = await beach.subscribe(principal)
    await beach.tell(HOUR_MS)
    assert (len(await beach.service.messages(before)), len(await beach.service.messages(after))) == (0, 1)


async def test_a_page_that_asked_before_a_rotation_may_still_subscribe_with_that_key(beach: Beach) -> None:
    """For a day; then it is told to ask again."""
    principal = await beach.device("owner")
    (old,) = await beach.keys.known(beach.tenant_id)
    await beach.keys.rotate(beach.tenant_id, OPERATOR)
    browser = await beach.service.subscribe(old.public_key)
    assert await beach.put(principal, browser, old.public_key)
    assert not await beach.put(principal, browser, old.public_key, lang="en")
    await beach.subscriptions.remove(principal, OPERATOR)
    beach.clock.ms += 2 * DAY_MS
    await beach.keys.rotate(beach.tenant_id, OPERATOR)
    with pytest.raises(AccessError) as refused:
        await beach.put(principal, browser, old.public_key)
    assert refused.value.code == "unknown_push_key"


async def test_a_subscription_goes_with_what_it_lived_by(beach: Beach) -> None:
    """In the very transaction that revokes its device, or the key by which it was let in."""
    revoked, keyless, stays = [await beach.device("owner") for _ in range(3)]
    for one in (revoked, keyless, stays):
        await beach.subscribe(one)
    await beach.invoice()
    await beach.admin.revoke_device(beach.tenant_id, revoked.device_id)
    ((key_id,),) = await beach.outlet.fetch(
        "SELECT key_id FROM keys WHERE tenant_id = :t AND device_id = :d", beach.tenant_id, keyless.device_id
    )
    await beach.admin._keys.revoke(beach.tenant_id, key_id, OPERATOR)
    rows = await beach.outlet.fetch("SELECT device_id FROM webpush_subscriptions WHERE tenant_id = :t", beach.tenant_id)
    assert [row[0] for row in rows] == [stays.device_id]
    assert await beach.waiting() == 1


async def test_news_on_its_way_is_not_told_to_who_came_after(beach: Beach) -> None:
    """The device is somebody else's by then: neither what was composed nor what waits is theirs."""
    nobodys = await beach.device("owner")
    before = await beach.subscribe(nobodys)
    await beach.invoice()
    await beach.service.script({"status": 503})
    await beach.tell()
    await beach.invoice()
    after = await beach.subscribe(nobodys._replace(person_id=await _sign_in(beach, nobodys.device_id)))
    assert await beach.waiting() == 0
    await beach.tell(HOUR_MS)
    assert [await beach.service.messages(one) for one in (before, after)] == [[], []]
    assert [row.error for row in await beach.outlet.rows()] == ["not_subscribed"]
    await beach.invoice()
    await beach.tell()
    assert len(await beach.service.messages(after)) == 1


async def test_a_device_that_comes_back_is_told_nothing_where_it_was_before(beach: Beach) -> None:
    """It may be back because it was in somebody else's hands, with the browser that subscribed."""
    principal = await beach.device("owner")
    await beach.subscribe(principal)

    async def job(writing: Writing) -> None:
        await readmit(writing, beach.tenant_id, principal.device_id, OPERATOR)

    await beach.outlet.writer.submit(Job([beach.tenant_id], job))
    rows = await beach.outlet.fetch("SELECT device_id FROM webpush_subscriptions WHERE tenant_id = :t", beach.tenant_id)
    assert rows == []


async def _sign_in(beach: Beach, device_id: str) -> str:
    """An owner is signed in on a device; their id."""
    person_id, now = beach.outlet.new_id(), encode_instant(beach.clock())
    later = encode_instant(beach.clock() + 30 * DAY_MS)
    known = {"tenant_id": beach.tenant_id, "person_id": person_id, "now": now}
    session = {**known, "session_id": beach.outlet.new_id(), "device_id": device_id, "later": later}

    async def job(writing: Writing) -> None:
        await writing.tx.execute(_PERSON, known)
        await writing.tx.execute(_SESSION, session)

    await beach.outlet.writer.submit(Job([beach.tenant_id], job))
    return person_id


async def test_what_is_secret_is_sealed_for_its_row_and_shown_nowhere(beach: Beach) -> None:
    """Not in the database, not in the outbox, not in any object's text; moved to another device, it does not open."""
    principal = await beach.device("owner")
    browser = await beach.subscribe(principal)
    await beach.invoice()
    await beach.tell()
    secrets = [browser.endpoint, browser.name, *browser.keys.values()]
    stored = ""
    for table in ("webpush_subscriptions", "webpush_keys", "outbox", "endpoints", "audit", "attempts"):
        stored += repr([tuple(row) for row in await beach.outlet.fetch(f"SELECT * FROM {table}")])  # noqa: S608
    opened = await beach.subscriptions.of(beach.tenant_id, principal.device_id)
    assert opened is not None
    secrets.append(opened.private_key)
    shown = stored + repr(opened) + repr(await beach.subscriptions.list(beach.tenant_id))
    assert [secret for secret in secrets if secret in shown] == []
    ((sealed,),) = await beach.outlet.fetch("SELECT sealed FROM webpush_subscriptions WHERE tenant_id = :t",
                                            beach.tenant_id)  # fmt: skip
    with pytest.raises(SealedError):
        Vault.of(b"k" * 32).unseal(beach.tenant_id, "webpush", beach.outlet.new_id(), sealed)


BAD_KEYS: dict[str, dict[str, str]] = {
    "no point of the curve": {"p256dh": "BA" + "A" * 85},
    "half a point": {"p256dh": "BAAA"},
    "a short secret": {"auth": "AAAA"},
    "no base64": {"auth": "!!!!"},
}


async def test_keys_that_are_none_are_refused(beach: Beach) -> None:
    """Before anything is stored: what could not be encrypted for would be dead for ever."""
    principal = await beach.device("owner")
    public_key = (await beach.keys.known(beach.tenant_id))[0].public_key
    browser = await beach.service.subscribe(public_key)
    for name, wrong in BAD_KEYS.items():
        with pytest.raises(AccessError) as refused:
            await beach.put(principal, browser._replace(keys=browser.keys | wrong), public_key)
        assert (name, refused.value.code) == (name, "bad_push_keys")
    assert await beach.subscriptions.list(beach.tenant_id) == {}


TAKEN = (
    "https://fcm.googleapis.com/fcm/send/x",
    "https://updates.push.services.mozilla.com/wpush/v2/x",
    "https://web.push.apple.com/x",
    "https://wns2-par02p.notify.windows.com/w/?token=x",
    "https://push.example.org/x",
)
REFUSED = (
    "http://fcm.googleapis.com/x",
    "https://fcm.googleapis.com.example.org/x",
    "https://fcm.googleapis.com:8443/x",
    "https://user@fcm.googleapis.com/x",
    "https://192.168.1.1/x",
    "https://[::1]/x",
    "https://localhost/x",
    "http://127.0.0.1:8090/x",
    "https://169.254.169.254/latest",
    "https://xfcm.googleapis.com/x",
    "https://fcm.googleapis.com:x/",
    "ftp://fcm.googleapis.com/x",
    "fcm.googleapis.com",
)


def test_only_known_push_services_are_believed() -> None:
    """By https on their own port; this machine only where tests run."""
    hosts, at_home = (Hosts(("push.example.org",), allow_loopback=here) for here in (False, True))
    assert [hosts.service_of(url).count("/") for url in TAKEN] == [2] * len(TAKEN)
    for url in REFUSED:
        with pytest.raises(AccessError, match="operator"):
            hosts.service_of(url)
    assert at_home.service_of("http://127.0.0.1:8090/x") == "http://127.0.0.1:8090"


def test_what_a_device_asks_for_keeps_its_secrets_to_itself() -> None:
    """Shown in a log or an error, it has stars."""
    wanted = Wanted("https://x", SecretStr("SECRET-1"), SecretStr("SECRET-2"), "k", "it", None, None)
    assert "SECRET" not in repr(wanted) + json.dumps(wanted, default=str)
