"""Provider `fattureincloud`: a webhook names ids, the documents are fetched, polls find the rest, each invoice once."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from server.inbox.poll import Polling
from server.inbox.store import Receipt
from server.outbound import Outbound, open_outbound
from server.ports import Account, Received, WebhookRefusedError
from server.providers.sdi.fic.api import FicApi
from server.providers.sdi.fic.provider import PUBLIC_KEY as THEIRS
from server.providers.sdi.fic.provider import FicProvider, FicSettings
from server.providers.sdi.fic.scheme import FicScheme
from server.providers.sdi.fic.token import load_keys
from tests.inbox.mailroom import Mailroom, open_mailroom
from tests.inbox.post import polling
from tests.support import fatture
from tests.support.fatture import Fattura
from tests.support.fic import CREATED, PUBLIC_KEY, Fic, fatture_in_cloud

DAY_S = 24 * 3600


class Granted:
    """Tokens as the peer gives them, without the database: the store has tests of its own."""

    def __init__(self, fic: Fic) -> None:
        self._fic, self._token = fic, ""

    async def token(self, _account: Account, refused: str | None = None) -> str:
        if not self._token or refused == self._token:
            self._token = str(self._fic.grant()["access_token"])
        return self._token


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """What the provider fetches with."""
    async with open_outbound(allow_loopback=True) as opened:
        yield opened


@pytest.fixture(scope="module")
async def served_fic() -> AsyncIterator[Fic]:
    """One server for all."""
    async with fatture_in_cloud() as opened:
        yield opened


@pytest.fixture
def fic(served_fic: Fic, outbound: Outbound) -> Fic:
    """An empty company, to which we are connected."""
    for kept in (served_fic.documents, served_fic.files, served_fic.calls, served_fic.answer_with):
        kept.clear()
    outbound.authorize_with(Granted(served_fic))
    return served_fic


@pytest.fixture
async def room(sqlite_url: str, fic: Fic, outbound: Outbound) -> AsyncIterator[Mailroom]:
    """A shop whose account it is."""
    async with open_mailroom(sqlite_url, FicProvider(outbound, lambda: 0)) as opened:
        form = FicSettings.model_validate(fic.settings)
        settings = json.loads(form.model_dump_json(exclude={"oauth_client_secret"}, exclude_none=True))
        await opened.add("fattureincloud", settings, {"oauth_client_secret": "x"})
        yield opened


def sink(room: Mailroom) -> str:
    """The address of the endpoint."""
    endpoint_id = room.endpoints["fattureincloud"].replace("-", "")
    return f"{room.shop.tenant_id.replace('-', '')}.{endpoint_id}"


async def tell(room: Mailroom, fic: Fic, *ids: int, **more: Any) -> Receipt:
    """A webhook of theirs, in time by the shop's clock."""
    address = sink(room)
    at = room.shop.clock() // 1000
    body, headers = fic.event(f"https://shop.example/v1/webhooks/fattureincloud/{address}", [*ids], at, **more)
    return await room.receiver.receive("fattureincloud", address, headers, body, "corr")


async def poll(room: Mailroom) -> Polling:
    """One round of polling, and all that it found taken in."""
    polls = polling(room)
    await polls.poll_due()
    await room.processor().drain()
    return polls


def today(room: Mailroom, days_ago: int = 0) -> str:
    """A day by the shop's clock."""
    return datetime.fromtimestamp(room.shop.clock() / 1000 - days_ago * DAY_S, UTC).date().isoformat()


async def numbers(room: Mailroom) -> list[str]:
    """The numbers of the invoices on the owner's phone."""
    return sorted(fields["number"] for fields in await room.records("invoices"))


def test_their_published_key_can_be_loaded() -> None:
    """It is the default, and two may stand beside each other while they change it."""
    assert len(load_keys(THEIRS)) == 1
    assert len(load_keys(THEIRS + PUBLIC_KEY)) == 2
    with pytest.raises(ValueError, match="P-256"):
        load_keys("")


async def test_what_a_webhook_names_is_fetched_once(room: Mailroom, fic: Fic) -> None:
    """Told twice, told of several at once: each invoice comes once, and no token goes to the file's host."""
    one, two, three = (fic.add(fatture.invoice(Fattura(number=str(n)))) for n in (1, 2, 3))
    first = await tell(room, fic, one, event_id="198:a")
    assert (first.outcome, (await tell(room, fic, one, event_id="198:a")).outcome) == ("stored", "rearmed")
    await tell(room, fic, two, three)
    await room.processor().drain()
    assert await numbers(room) == ["1", "2", "3"]
    assert await room.states() == {"done": 2}
    assert fic.calls.count("file") == 3


async def test_a_document_is_one_invoice_pending_and_registered(room: Mailroom, fic: Fic) -> None:
    """Registered it has another id, and the same file."""
    pending = fic.add(fatture.invoice(Fattura(number="7")))
    await tell(room, fic, pending)
    await room.processor().drain()
    registered = fic.register(pending)
    await tell(room, fic, registered, event_type=CREATED)
    await tell(room, fic, pending)
    await room.processor().drain()
    assert await numbers(room) == ["7"]
    assert await room.states() == {"done": 2, "ignored": 1}


async def test_polls_find_what_no_webhook_told_and_fetch_nothing_twice(room: Mailroom, fic: Fic) -> None:
    """Pending, registered, credit notes; what came by mail or is no electronic invoice is left alone."""
    told = fic.add(fatture.invoice(Fattura(number="told")), day=today(room))
    await tell(room, fic, told)
    fic.add(fatture.invoice(Fattura(number="pending")), day=today(room))
    fic.add(fatture.invoice(Fattura(number="mail")), type="mail", day=today(room))
    fic.add(fatture.invoice(Fattura(number="registered")), pending=False, day=today(room, 9))
    fic.add(fatture.credit_note(), pending=False, type="passive_credit_note", day=today(room, 2))
    fic.add(fatture.invoice(Fattura(number="paper")), pending=False, e_invoice=False, day=today(room))
    fic.add(fatture.invoice(Fattura(number="old")), pending=False, day=today(room, 40))
    await room.processor().drain()
    await poll(room)
    assert await numbers(room) == ["NC/3", "pending", "registered", "told"]
    assert fic.calls.count("file") == 4
    await room.pass_time(1801)
    await poll(room)
    assert fic.calls.count("file") == 4


async def test_once_a_day_a_poll_looks_back_further(room: Mailroom, fic: Fic) -> None:
    """What appeared with an old date is found by the next day's look, not by the polls between."""
    await poll(room)
    fic.add(fatture.invoice(Fattura(number="late")), pending=False, day=today(room, 5))
    await room.pass_time(1801)
    await poll(room)
    assert await numbers(room) == []
    await room.pass_time(DAY_S)
    await poll(room)
    assert await numbers(room) == ["late"]


async def test_pages_are_read_to_the_end(room: Mailroom, fic: Fic, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr("server.providers.sdi.fic.poller.PAGE_SIZE", 2)
    for number in range(5):
        fic.add(fatture.invoice(Fattura(number=str(number))), pending=number % 2 == 0, day=today(room))
    await poll(room)
    assert await numbers(room) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("statuses", [[503], [429, 500], [401]])
async def test_trouble_there_costs_time_and_no_invoice(room: Mailroom, fic: Fic, statuses: list[int]) -> None:
    """It is asked again; a refused token is replaced at once."""
    document = fic.add(fatture.invoice(Fattura(number="9")))
    fic.answer_with.extend(statuses)
    await tell(room, fic, document)
    for _ in range(3):
        await room.processor().drain()
        await room.pass_time(61)
    assert await numbers(room) == ["9"]


async def test_a_file_that_is_gone_is_asked_for_by_a_new_address(room: Mailroom, fic: Fic) -> None:
    """Its address is signed for a while; nothing is given up for that."""
    document = fic.add(fatture.invoice(Fattura(number="9")))
    kept = dict(fic.files)
    fic.files.clear()
    await tell(room, fic, document)
    await room.processor().drain()
    assert ((await room.event()).state, (await room.event()).error) == ("pending", "file_not_there")
    fic.files.update(kept)
    await room.pass_time(61)
    await room.processor().drain()
    assert await numbers(room) == ["9"]


async def test_a_file_nobody_can_read_is_shown_to_the_owner(room: Mailroom, fic: Fic) -> None:
    """In the feed, with its reason; gone when the event is read after all."""
    document = fic.add(b"<html>Errore</html>", name="IT01234567890_9.xml")
    await tell(room, fic, document)
    await room.processor().drain()
    assert await room.states() == {"quarantined": 1}
    await room.owner.pull("quarantined")
    (change,) = [one for (name, _), one in room.owner.received.items() if name == "quarantined"]
    shown = change["fields"]
    assert (shown["provider"], shown["code"], shown["file_name"]) == (
        "fattureincloud",
        "no_root",
        "IT01234567890_9.xml",
    )
    assert await room.shop.device("clerk", shops=("centro",)).pull("quarantined") == []
    fic.files.update({key: fatture.invoice(Fattura(number="9")) for key in fic.files})
    await room.execute("UPDATE inbox SET state = 'pending'")
    await room.processor().drain()
    await room.owner.pull("quarantined")
    (change,) = [one for (name, _), one in room.owner.received.items() if name == "quarantined"]
    assert (change["deleted"], await numbers(room)) == (True, ["9"])


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"jti": "198:other"}, "bad_signature"),
        ({"aud": ["https://shop.example/v1/webhooks/fattureincloud/x.y"]}, "bad_signature"),
        ({"sub": "company:1"}, "bad_signature"),
        ({"iss": "https://elsewhere.example"}, "bad_signature"),
        ({"exp": 1}, "stale"),
        ({"iat": None}, "bad_signature"),
    ],
)
async def test_a_token_that_is_not_this_events_is_refused(
    room: Mailroom, fic: Fic, claims: dict[str, Any], reason: str
) -> None:
    """Of another event, address, company, issuer or time; nothing is stored."""
    with pytest.raises(WebhookRefusedError) as refused:
        await tell(room, fic, 1, event_id="198:a", **claims)
    assert refused.value.reason == reason
    assert await room.events() == []


async def test_other_keys_and_algorithms_are_refused(room: Mailroom, fic: Fic) -> None:
    """Also none at all."""
    scheme = FicScheme(FicApi(None))  # type: ignore[arg-type]  # it asks nobody to verify
    account = Account(room.shop.tenant_id, "e", {"webhook_public_key": THEIRS, "company_id": fic.company_id}, {})
    _, headers = fic.event("x", [1], room.shop.clock() // 1000)
    none = "Bearer eyJhbGciOiJub25lIn0.e30."
    for given in (headers["authorization"], none, "", "Bearer", "Basic x", "Bearer x.y.z"):
        with pytest.raises(WebhookRefusedError):
            scheme.verify(account, Received({**headers, "authorization": given}, b"{}", room.shop.clock()))


async def test_the_structured_mode_is_understood(room: Mailroom, fic: Fic) -> None:
    """The attributes stand in the body then."""
    document, address, at = fic.add(fatture.invoice(Fattura(number="5"))), sink(room), room.shop.clock() // 1000
    _, headers = fic.event(f"https://x/{address}", [document], at, event_id="198:s")
    said = {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
    body = json.dumps({**said, "data": {"ids": [document]}}).encode()
    plain = {"authorization": headers["authorization"], "content-type": "application/cloudevents+json"}
    await room.receiver.receive("fattureincloud", address, plain, body, "corr")
    await room.processor().drain()
    assert await numbers(room) == ["5"]


async def test_the_challenge_is_answered_to_them_alone(room: Mailroom, fic: Fic) -> None:
    """In the header or the address; who cannot sign for them learns nothing."""
    address, token = sink(room), fic.token("x", "c", room.shop.clock() // 1000)
    for headers, query in (
        ({"x-fic-verification-challenge": "abc"}, {}),
        ({}, {"x-fic-verification-challenge": "abc"}),
    ):
        signed = {**headers, "authorization": token}
        assert await room.receiver.challenge("fattureincloud", address, signed, query) == {"verification": "abc"}
    for bad in ({"authorization": token}, {"x-fic-verification-challenge": "abc"}):
        with pytest.raises(WebhookRefusedError):
            await room.receiver.challenge("fattureincloud", address, bad, {})


async def test_welcome_and_other_news_end_ignored(room: Mailroom, fic: Fic) -> None:
    """And cost no fetch."""
    await tell(room, fic, event_type="it.fattureincloud.webhooks.subscriptions.welcome")
    await tell(room, fic, 5, event_type="it.fattureincloud.webhooks.entities.clients.create")
    await room.processor().drain()
    assert (await room.states(), fic.calls) == ({"ignored": 2}, [])


async def test_an_event_whose_documents_are_all_gone_ends_ignored(room: Mailroom, fic: Fic) -> None:
    """They were registered meanwhile, and are told of again; where one of several is left, it is read."""
    await tell(room, fic, 901, 902)
    await room.processor().drain()
    assert await room.states() == {"ignored": 1}
    await tell(room, fic, 903, fic.add(fatture.invoice(Fattura(number="8"))))
    await room.processor().drain()
    assert (await numbers(room), await room.states()) == (["8"], {"ignored": 1, "done": 1})
