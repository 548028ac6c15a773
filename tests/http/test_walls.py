"""Nothing leaks: no other tenant's, shop's or role's data in any body, header or log line, whatever is asked for.

Every operation of the API is walked, by everybody who should not see; one that nobody here knows how to walk fails.
"""

import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from server.collections import registry
from server.outbox.listing import Filter, list_deliveries
from server.routes.api import operations
from server.settings import Settings
from tests.http.walls import COUNT, OF_SHOP, VISIBLE, World, full, open_world
from tests.support.shop import line, sale_fields

COLLECTIONS = sorted(registry().collections)
HIDDEN = {
    "nobody": ("CANARY", VISIBLE, "tenant", "porto", "role"),
    "stranger": ("CANARY", VISIBLE, "tenant", "porto", "role"),
    "till": ("CANARY-PORTO", "CANARY-OPERATOR", "CANARY-ROLE-2", "porto", "role"),
    "clerk": ("CANARY-PORTO", "CANARY-OPERATOR", "porto"),
}
"""Who looks, and what must not come to them: canaries, and the groups of ids in `World.ids`."""
FOREIGN = {
    "stranger": COLLECTIONS,
    "till": [*OF_SHOP, "conflicts", "quarantined"],
    "clerk": [*OF_SHOP, "quarantined"],
    "nobody": COLLECTIONS,
}
"""The collections in which somebody aims at records that are not theirs."""
_PASSING = re.compile(r'"(server_time|head|cursor|epoch|digest)":("[^"]*"|null|\[[^]]*\])')
_PASSING_HEADERS = {"date", "x-request-id", "content-length"}


@dataclass
class Walker:
    """Somebody who asks for what is not theirs."""

    world: World
    name: str
    heard: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    numbers: set[Any] = field(default_factory=set)

    @property
    def headers(self) -> dict[str, str]:
        token = self.world.tokens.get(self.name)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, **request: Any) -> str:
        """One request; everything that came back, as text without what differs from one moment to the next."""
        self.sent.append(path + json.dumps(request.get("json", "")))
        answer = await self.world.http.request(method, path, **{"headers": self.headers, **request})
        return self._note(answer, answer.text)

    async def listen(self, path: str) -> str:
        """The beginning of a stream."""
        async with self.world.http.stream("GET", path, headers=self.headers) as answer:
            async for text in answer.aiter_text():
                return self._note(answer, text)
        return self._note(answer, "")

    async def exchange(self, *mutations: Any, **more: Any) -> str:
        """One exchange of a fresh client."""
        body = {"protocol": 1, "client_id": self.world.new_id(), "mutations": list(mutations)} | more
        return await self.call("POST", "/v1/sync", json=body)

    def _note(self, answer: httpx.Response, text: str) -> str:
        self.heard.append(f"{answer.status_code} {dict(answer.headers)} {text}")
        self.numbers |= set(map(int, re.findall(r":\s*(\d+)\b", text)))
        kept = {name: value for name, value in answer.headers.items() if name not in _PASSING_HEADERS}
        return f"{answer.status_code} {kept} {_PASSING.sub('', text)}"


async def _walk_sync(walker: Walker) -> None:
    await walker.exchange(collections=COLLECTIONS)
    for cursor in [*walker.world.cursors, *(cursor[:-4] + "AAAA" for cursor in walker.world.cursors), "forged"]:
        await walker.exchange(collections=COLLECTIONS, cursor=cursor)
    for collection in FOREIGN[walker.name]:
        for op in ("update", "delete", "restore"):
            await _alike(walker, collection, op)
    for collection in FOREIGN[walker.name]:
        foreign = walker.world.records[collection]
        await walker.exchange(walker.world.mutation(collection, foreign, "create", fields=_fields(collection)))
    await _refer(walker)
    await _pretend(walker)
    await walker.exchange(collections=COLLECTIONS)


async def _alike(walker: Walker, collection: str, op: str) -> None:
    """A record that is somebody else's is answered like one that is nobody's."""
    world, answers = walker.world, []
    for record_id in (world.records[collection], world.new_id()):
        more = {"fields": {"note": "mine"} if collection == "sales" else {}} if op == "update" else {}
        mutation = world.mutation(collection, record_id, op, **more)
        answer = await walker.exchange(mutation, collections=[collection])
        answers.append(answer.replace(record_id, "ID").replace(mutation["uid"], "UID"))
    assert answers[0] == answers[1], (walker.name, collection, op)


def _fields(collection: str) -> dict[str, Any]:
    return {} if collection == "conflicts" else full(collection, "MINE", "centro")


async def _refer(walker: Walker) -> None:
    """A sale of one's own that names somebody else's customer and product is answered like one that names nobody's."""
    world, answers = walker.world, []
    if walker.name != "stranger":
        return
    for customer, product in (
        (world.records["customers"], world.records["products"]),
        (world.new_id(), world.new_id()),
    ):
        sale = sale_fields(customer_id=customer, lines=[line(product)])
        mutation = world.mutation("sales", world.new_id(), "create", fields=sale)
        answer = await walker.exchange(mutation)
        answers.append(answer.replace(mutation["uid"], "UID"))
    assert answers[0] == answers[1]


async def _pretend(walker: Walker) -> None:
    """To be another's client, or to send again what another sent."""
    world = walker.world
    await walker.exchange(client_id=world.client)
    await walker.exchange(client_id=world.client, collections=COLLECTIONS)
    for number in (1, COUNT, COUNT + 1):
        mutation = world.mutation("sales", world.new_id(), "update", mutation_id=number, fields={})
        await walker.exchange(mutation, client_id=world.client)
    await walker.exchange(world.mutation("sales", world.records["sales"], "update", uid=world.uid, fields={}))


async def _walk_rejected(walker: Walker) -> None:
    for asked in ("", "?limit=1000", "?limit=1&after=forged"):
        await walker.call("GET", f"/v1/rejected{asked}")


async def _walk_superseded(walker: Walker) -> None:
    for collection in FOREIGN[walker.name]:
        asked = f"/v1/superseded?collection={collection}&record_id="
        foreign, unknown = walker.world.records[collection], walker.world.new_id()
        assert await walker.call("GET", asked + foreign) == await walker.call("GET", asked + unknown)
    for collection in COLLECTIONS:  # of records they may see, too
        record_id = walker.world.records[collection]
        await walker.call("GET", f"/v1/superseded?collection={collection}&record_id={record_id}")


def _on_a_refused_one(action: str) -> Callable[[Walker], Awaitable[None]]:
    async def walk(walker: Walker) -> None:
        answers = []
        for uid in (walker.world.uid, walker.world.new_id()):
            answer = await walker.call("POST", f"/v1/rejected/{uid}/{action}", json={"fields": {}})
            answers.append(answer.replace(uid, "UID"))
        assert answers[0] == answers[1], (walker.name, action)

    return walk


async def _walk_keys(walker: Walker) -> None:
    """To list what is not theirs, and to make a key for another's device or one for nobody's."""
    await walker.call("GET", "/v1/keys")
    devices = (walker.world.devices["porto"], walker.world.new_id())
    answers = [await walker.call("POST", "/v1/keys", json={"device_id": one, "name": "mine"}) for one in devices]
    assert answers[0] == answers[1]


def _on_a_key(action: str) -> Callable[[Walker], Awaitable[None]]:
    async def walk(walker: Walker) -> None:
        keys = (walker.world.keys["porto"], walker.world.new_id())
        answers = [await walker.call("POST", f"/v1/keys/{key_id}/{action}", json={}) for key_id in keys]
        assert answers[0] == answers[1], (walker.name, action)

    return walk


async def _walk_live(walker: Walker) -> None:
    await walker.listen("/v1/live")


def _with_tokens(path: str) -> Callable[[Walker], Awaitable[None]]:
    async def walk(walker: Walker) -> None:
        for token in ("", "x", f"rnr_{'0' * 32}_{'0' * 32}_0_{'0' * 64}"):
            await walker.call("POST", path, json={"refresh_token": token, "attempt": "attempt-of-sixteen-signs"})
            await walker.call("POST", path, json={"refresh_token": token})

    return walk


async def _walk_passwords(walker: Walker) -> None:
    """A name that is somebody's is answered like one that is nobody's, in the right merchant and in none."""
    answers = set()
    for merchant in (walker.world.tenant_id, walker.world.new_id()):
        for login in ("canary-login", "nobody"):
            form = {"merchant": merchant, "login": login, "password": "a guess of mine"}
            answers.add(await walker.call("POST", "/v1/auth/password", json=form))
    assert len(answers) == 1


def _with_form(path: str, **form: Any) -> Callable[[Walker], Awaitable[None]]:
    async def walk(walker: Walker) -> None:
        await walker.call("POST", path, json=form)

    return walk


def _on_somebody(method: str, path: str, *forms: dict[str, Any]) -> Callable[[Walker], Awaitable[None]]:
    """What is done to somebody else's is answered like what is done to nobody's."""

    async def walk(walker: Walker) -> None:
        world, answers = walker.world, set()
        for foreign in (True, False):
            person, session, device = (
                (world.person, world.session, world.device) if foreign else [world.new_id() for _ in range(3)]
            )
            filled = path.format(person_id=person, session_id=session, device_id=device, credential_id="AAAA")
            for form in forms or ({},):
                answers.add(await walker.call(method, filled, json=form))
        assert len(answers) == 1, (walker.name, method, path)

    return walk


async def _walk_webhooks(walker: Walker) -> None:
    for path in (walker.world.address, walker.world.address[:-4] + "0000", "/v1/webhooks/pos/x.y"):
        await walker.call("POST", path, json={"type": "sale.created"})
        await walker.call("GET", path)


async def _walk_metrics(walker: Walker) -> None:
    """As from elsewhere: from this machine the operator may look."""
    answer = await walker.call("GET", "/metrics", headers={**walker.headers, "x-forwarded-for": "203.0.113.9"})
    assert answer.startswith("401 ")


def _plainly(method: str, path: str) -> Callable[[Walker], Awaitable[None]]:
    async def walk(walker: Walker) -> None:
        await walker.call(method, path)

    return walk


async def _walk_consents(walker: Walker) -> None:
    for tenant in (walker.world.tenant_id, "0" * 32):
        await walker.call("GET", f"/v1/oauth/callback?code=c&state={tenant.replace('-', '')}.x")


async def _walk_audit(walker: Walker) -> None:
    for asked in ("", "?limit=1000", "?action=device.add", f"?after={walker.world.new_id()}"):
        await walker.call("GET", f"/v1/audit{asked}")


async def _walk_operations(walker: Walker) -> None:
    """To list, to redrive and to replay what another merchant's providers hold: unknown ids and foreign ones alike."""
    world = walker.world
    queued = [one.delivery_id for one in await list_deliveries(world.core.database, world.tenant_id, Filter())]
    for asked in (
        "deliveries",
        "deliveries?limit=200&state=pending",
        "events",
        "events?state=done",
        "depths?hours=168",
    ):
        await walker.call("GET", f"/v1/operations/{asked}")
    for path in ("deliveries/redrive", "events/replay"):
        await walker.call("POST", f"/v1/operations/{path}", json={})
        await walker.call("POST", f"/v1/operations/{path}", json={"ids": queued[:200]})
    answers = []
    for delivery_id in (queued[0], world.new_id()):
        answer = await walker.call("POST", f"/v1/operations/deliveries/{delivery_id}/let-pass")
        answers.append(answer.replace(delivery_id, "ID"))
    assert answers[0] == answers[1], walker.name


async def _walk_customers(walker: Walker) -> None:
    """The stranger made a customer of its own under the foreign id by now, and meets that one."""
    for call in (("GET", "export", None), ("POST", "erase", {"reason": "request", "dry_run": False})):
        answers = []
        for customer in (walker.world.records["customers"], walker.world.new_id()):
            answer = await walker.call(call[0], f"/v1/customers/{customer}/{call[1]}", json=call[2])
            answers.append(answer.replace(customer, "ID"))
        assert (answers[0] == answers[1]) == (walker.name != "stranger"), (walker.name, call)


async def _walk_webpush(walker: Walker) -> None:
    """With the foreign merchant's key, or one that is nobody's."""
    foreign = (await walker.world.core.webpush.keys.known(walker.world.tenant_id))[0].public_key
    keys = {"p256dh": "BA" + "A" * 85, "auth": "A" * 22}
    form = {"endpoint": "https://push.apple.com/x", "keys": keys}
    answers = {
        await walker.call("PUT", "/v1/webpush/subscription", json={**form, "public_key": key})
        for key in (foreign, "A" * 87)
    }
    assert len(answers) == 1


def _on_an_invoice(what: str) -> Callable[[Walker], Awaitable[None]]:
    """A clerk may see invoices; a file that is not there is answered like an invoice that is not."""

    async def walk(walker: Walker) -> None:
        answers = []
        for invoice in (walker.world.records["invoices"], walker.world.new_id()):
            answer = await walker.call("GET", f"/v1/invoices/{invoice}/{what}")
            answers.append(answer.replace(invoice, "ID"))
        mine = walker.name == "clerk" and what == "view"
        met = walker.name == "stranger" and what == "view"  # it made one under the foreign id by now, or did not
        assert answers[0] == answers[1] or mine or met, (walker.name, what)

    return walk


async def _nothing_more(_walker: Walker) -> None:
    """Walked together with another."""


WALKS: dict[tuple[str, str], Callable[[Walker], Awaitable[None]]] = {
    ("POST", "/v1/sync"): _walk_sync,
    ("GET", "/v1/live"): _walk_live,
    ("GET", "/v1/rejected"): _walk_rejected,
    ("GET", "/v1/keys"): _walk_keys,
    ("POST", "/v1/keys"): _walk_keys,
    ("POST", "/v1/keys/{key_id}/rotate"): _on_a_key("rotate"),
    ("POST", "/v1/keys/{key_id}/revoke"): _on_a_key("revoke"),
    ("POST", "/v1/rejected/{uid}/resend"): _on_a_refused_one("resend"),
    ("POST", "/v1/rejected/{uid}/dismiss"): _on_a_refused_one("dismiss"),
    ("GET", "/v1/superseded"): _walk_superseded,
    ("GET", "/v1/audit"): _walk_audit,
    ("GET", "/v1/operations/deliveries"): _walk_operations,
    ("GET", "/v1/operations/events"): _nothing_more,
    ("GET", "/v1/operations/depths"): _nothing_more,
    ("POST", "/v1/operations/deliveries/redrive"): _nothing_more,
    ("POST", "/v1/operations/deliveries/{delivery_id}/let-pass"): _nothing_more,
    ("POST", "/v1/operations/events/replay"): _nothing_more,
    ("GET", "/v1/customers/{customer_id}/export"): _walk_customers,
    ("POST", "/v1/customers/{customer_id}/erase"): _nothing_more,
    ("GET", "/v1/invoices/{invoice_id}/view"): _on_an_invoice("view"),
    ("GET", "/v1/invoices/{invoice_id}/file"): _on_an_invoice("file"),
    ("GET", "/v1/invoices/{invoice_id}/attachments/{sha256}"): _on_an_invoice(f"attachments/{'0' * 64}"),
    ("POST", "/v1/webhooks/{provider}/{address}"): _walk_webhooks,
    ("GET", "/v1/webhooks/{provider}/{address}"): _nothing_more,
    ("POST", "/v1/soap/{provider}/{address}"): _plainly("POST", "/v1/soap/sdicoop/x.y"),
    ("GET", "/metrics"): _walk_metrics,
    ("GET", "/health/integrations/{name}"): _plainly("GET", "/health/integrations/pos"),
    ("GET", "/v1/oauth/callback"): _walk_consents,
    ("GET", "/v1/auth/oidc/callback"): _plainly("GET", "/v1/auth/oidc/callback?code=c&state=s"),
    ("POST", "/v1/auth/refresh"): _with_tokens("/v1/auth/refresh"),
    ("POST", "/v1/auth/sign-out"): _with_tokens("/v1/auth/sign-out"),
    ("POST", "/v1/auth/password"): _walk_passwords,
    ("POST", "/v1/auth/password/change"): _with_form("/v1/auth/password/change", old="x", new="y"),
    ("POST", "/v1/auth/setup"): _with_form("/v1/auth/setup", token=f"{'0' * 32}_{'0' * 64}"),
    ("POST", "/v1/auth/pairings"): _with_form("/v1/auth/pairings", role="terminal", shop="porto", person="me"),
    ("POST", "/v1/auth/pair"): _with_form("/v1/auth/pair", code="0000-0000"),
    ("GET", "/v1/auth/me"): _plainly("GET", "/v1/auth/me"),
    ("POST", "/v1/auth/passkeys/options"): _with_form("/v1/auth/passkeys/options"),
    ("POST", "/v1/auth/passkeys"): _with_form("/v1/auth/passkeys", name="x", credential={}),
    ("GET", "/v1/auth/passkeys"): _plainly("GET", "/v1/auth/passkeys"),
    ("DELETE", "/v1/auth/passkeys/{credential_id}"): _on_somebody("DELETE", "/v1/auth/passkeys/{credential_id}"),
    ("POST", "/v1/auth/passkey/options"): _with_form("/v1/auth/passkey/options"),
    ("POST", "/v1/auth/passkey/sign-in"): _with_form("/v1/auth/passkey/sign-in", credential={}),
    ("GET", "/v1/people"): _plainly("GET", "/v1/people"),
    ("POST", "/v1/people"): _with_form("/v1/people", name="x", role="king", shop="centro"),
    ("PATCH", "/v1/people/{person_id}"): _on_somebody("PATCH", "/v1/people/{person_id}", {"disabled": True}),
    ("POST", "/v1/people/{person_id}/invite"): _on_somebody("POST", "/v1/people/{person_id}/invite"),
    ("GET", "/v1/people/{person_id}/sessions"): _on_somebody("GET", "/v1/people/{person_id}/sessions"),
    ("DELETE", "/v1/people/{person_id}/sessions/{session_id}"): _on_somebody(
        "DELETE", "/v1/people/{person_id}/sessions/{session_id}"
    ),
    ("GET", "/v1/webpush/key"): _plainly("GET", "/v1/webpush/key"),
    ("GET", "/v1/webpush/subscription"): _plainly("GET", "/v1/webpush/subscription"),
    ("PUT", "/v1/webpush/subscription"): _walk_webpush,
    ("DELETE", "/v1/webpush/subscription"): _plainly("DELETE", "/v1/webpush/subscription"),
    ("GET", "/v1/webpush/subscriptions"): _plainly("GET", "/v1/webpush/subscriptions"),
    ("GET", "/v1/devices"): _plainly("GET", "/v1/devices"),
    ("DELETE", "/v1/devices/{device_id}"): _on_somebody("DELETE", "/v1/devices/{device_id}"),
    ("GET", "/.well-known/jwks.json"): _plainly("GET", "/.well-known/jwks.json"),
    **{
        ("GET", path): _plainly("GET", path)
        for path in (
            "/v1/auth/ways",
            "/v1/auth/oidc/start",
            "/v1/schema",
            "/health/live",
            "/health/ready",
            "/health/integrations",
            "/openapi.json",
        )
    },
}


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """Everything there is to hide."""
    async with open_world(settings) as built:
        yield built


async def test_nothing_comes_out_to_whom_it_is_not_for(world: World, lines: io.StringIO) -> None:
    """Nobody, another tenant's owner, another shop's till and clerk walk every operation."""
    for name, hidden in HIDDEN.items():
        walker = Walker(world, name)
        for operation in operations(registry()):
            walk = WALKS.get((operation.method, operation.path))
            if walk is None:
                pytest.fail(
                    f"nobody walks {operation.method} {operation.path}: say how in WALKS, for ids that are foreign"
                )
            await walk(walker)
        found = _found(world, hidden, walker.heard, walker.sent) + _found(
            world, hidden, [lines.getvalue()], walker.sent
        )
        assert (name, found) == (name, [])
        assert (name, COUNT in walker.numbers) == (name, False)
        assert (VISIBLE in "".join(walker.heard)) == (name in {"till", "clerk"})
        lines.truncate(lines.seek(0))


async def test_the_canaries_are_there_to_be_found(world: World, lines: io.StringIO) -> None:
    """Their own tenant's owner sees what belongs to devices, so the test above can fail."""
    owner = Walker(world, "owner")
    await owner.exchange(collections=COLLECTIONS)
    hidden = ("CANARY-TENANT", "CANARY-PORTO", "CANARY-ROLE", "role")
    assert len(_found(world, hidden, owner.heard, [])) == len(hidden)
    porto = Walker(world, "porto")
    await porto.exchange(client_id=world.client, collections=COLLECTIONS)
    assert (COUNT in porto.numbers, world.late in porto.heard[-1]) == (True, True)
    assert [name for name, rows in (await world.kept()).items() if not rows] == []


def _found(world: World, hidden: tuple[str, ...], heard: list[str], sent: list[str]) -> list[str]:
    """What of the hidden is in what was heard, unless who heard it had said it first; ids with dashes or without."""
    text, known = "\n".join(heard), "".join(sent).replace("-", "")
    plain = text.replace("-", "")
    ids = {one.replace("-", "") for group in hidden for one in world.ids.get(group, ())}
    words = {word for word in hidden if word not in world.ids}
    return sorted([word for word in words if word in text] + [one for one in ids if one in plain and one not in known])
