"""Provider `http` against a real receiver that verifies signatures."""

import json
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from server.outbound import MAX_ANSWER_BYTES, Outbound, OutboundError, open_outbound
from server.ports import Account, Answer, Call
from server.providers.http import HttpProvider, HttpSettings
from server.resilience.errors import PermanentError
from tests.support.receiver import SECRET, Receiver, receiver_process

RECORD = "0192f0c1-0000-7000-8000-000000000001"
PAYLOAD = json.dumps({"type": "sales.created", "data": {"record_id": RECORD, "note": "perché no"}}, ensure_ascii=False)


@pytest.fixture(scope="module")
async def _running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiver_process(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture
async def receiver(_running: Receiver) -> Receiver:
    """A real receiving process that behaves, and has forgotten the tests before."""
    await _running.script()
    _running.forget()
    return _running


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may talk to this machine."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


def call(url: str, secret: str = SECRET, **settings: Any) -> Call:
    """A call to an endpoint, under a key of its own."""
    account = Account("t", "e", {"url": url, "timeout": 5, **settings}, {"secret": secret})
    return Call(account, "d", f"rnt_{uuid.uuid4().hex}", "corr-42", "sales", RECORD, PAYLOAD, 1)


async def post(outbound: Outbound, to: Call) -> Answer:
    """Make a call."""
    return await HttpProvider(outbound, now_ms).operations()["post"].send(to)


async def test_a_receiver_verifies_what_we_sign(receiver: Receiver, outbound: Outbound) -> None:
    """The library on the other side accepts it; the key, the correlation id and the very bytes arrive."""
    sent = call(receiver.url)
    answer = await post(outbound, sent)
    (arrival,) = receiver.arrivals()
    assert (answer.status, answer.reference) == (200, arrival["reference"])
    assert (arrival["did"], arrival["key"], arrival["correlation_id"]) == ("kept", sent.idempotency_key, "corr-42")
    assert arrival["body"] == PAYLOAD


async def test_the_same_key_has_one_effect_and_one_answer(receiver: Receiver, outbound: Outbound) -> None:
    """Sent again, the receiver knows it: that is what `keyed` promises."""
    sent = call(receiver.url)
    first, second = [await post(outbound, sent) for _ in range(2)]
    assert first.reference == second.reference
    assert [entry["did"] for entry in receiver.arrivals()] == ["kept", "again"]


async def test_a_wrong_secret_is_found_out(receiver: Receiver, outbound: Outbound) -> None:
    """The receiver refuses what it cannot verify."""
    other = "whsec_" + "YW5vdGhlci1zZWNyZXQtYW5vdGhlci1zZWNyZXQtMTI="
    assert (await post(outbound, call(receiver.url, secret=other))).status == 401


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"do": "status", "status": 503}, 503),
        ({"do": "status", "status": 400}, 400),
        ({"do": "redirect"}, 302),
        ({"do": "throttle", "seconds": 7}, 429),
        ({"do": "throttle", "seconds": 7, "form": "date"}, 429),
    ],
)
async def test_every_status_comes_back_as_it_is(
    receiver: Receiver, outbound: Outbound, step: dict[str, Any], status: int
) -> None:
    """No redirect is followed, and Retry-After comes as the header says it."""
    await receiver.script(step)
    answer = await post(outbound, call(receiver.url))
    assert answer.status == status
    assert len(receiver.arrivals()) == 1
    assert (answer.retry_after is not None) == (status == 429)


@pytest.mark.parametrize(("step", "reason"), [("drop", "read"), ("stall", "read_timeout")])
async def test_a_lost_answer_is_told_from_a_lost_request(
    receiver: Receiver, outbound: Outbound, step: str, reason: str
) -> None:
    """It took effect there, and we know that we do not know."""
    await receiver.script({"do": step, "seconds": 3})
    with pytest.raises(OutboundError) as raised:
        await post(outbound, call(receiver.url, timeout=1))
    assert raised.value.reason == reason
    assert len(receiver.kept()) == 1


async def test_nobody_there_is_a_failed_connection(outbound: Outbound) -> None:
    """Nothing was sent."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        with pytest.raises(OutboundError, match="connect"):
            await post(outbound, call(f"http://127.0.0.1:{holder.getsockname()[1]}/"))


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """A server that answers anything with these bytes, once."""

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            request = b""
            while not request.endswith(PAYLOAD.encode()):  # closing on unread bytes would reset the connection
                request += peer.recv(65536)
            peer.sendall(raw)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("raw", "reference"),
    [
        (HEAD + b'\r\n{"reference": "A-1"}', "A-1"),
        (HEAD + b'\r\n{"reference": 17}', None),
        (HEAD + b'\r\n["reference"]', None),
        (HEAD + b"\r\n" + b"[" * 50_000, None),
        (HEAD + b"\r\n\xff\xfe", None),
        (HEAD + b"\r\n" + b" " * MAX_ANSWER_BYTES + b'{"reference": "far"}', None),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b", None),
        (HEAD + b"\r\n", None),
    ],
)
async def test_of_an_answers_body_only_a_reference_is_taken(
    outbound: Outbound, raw: bytes, reference: str | None
) -> None:
    """Bounded, never inflated, and only what both databases can keep; the status counts all the same."""
    with answering(raw) as url:
        answer = await post(outbound, call(url))
    assert (answer.status, answer.reference) == (200, reference)


async def test_no_cookie_is_kept_from_one_tenant_to_the_next(outbound: Outbound) -> None:
    """The client is shared, what it is told is not."""
    with answering(HEAD + b"Set-Cookie: who=tenant-one; Path=/\r\n\r\n{}") as url:
        await post(outbound, call(url))
    assert list(next(iter(outbound._clients._open.values())).cookies.jar) == []


@pytest.mark.parametrize("wrong", [{"url": None}, {"timeout": 0}, {"timeout": 61}, {"nonsense": 1}])
async def test_settings_that_do_not_fit_fail_for_good(outbound: Outbound, wrong: dict[str, Any]) -> None:
    """A person must mend them."""
    with pytest.raises(PermanentError, match="bad_settings"):
        await post(outbound, call("http://127.0.0.1:1/", **wrong) if "url" not in wrong else _without_url())


def _without_url() -> Call:
    made = call("x")
    return made._replace(account=replace(made.account, settings={}))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", ""])
def test_a_secret_nobody_could_sign_with_is_refused_and_not_quoted(secret: str) -> None:
    """When the endpoint is made, not when the first sale goes out."""
    with pytest.raises(ValidationError) as refused:
        HttpSettings(url="https://example.com", secret=SecretStr(secret))
    assert "whsec_a" not in str(refused.value)


def test_settings_read_what_the_command_line_gives() -> None:
    """Texts only."""
    told = {"url": "https://example.com", "secret": SECRET, "timeout": "7", "rate": "2.5", "breaker": "false"}
    settings = HttpSettings.model_validate(told)
    assert (settings.timeout, settings.rate, settings.breaker) == (7, 2.5, False)
    assert SECRET not in repr(settings)


def test_the_receivers_secret_is_one_the_library_takes() -> None:
    """Else every test above would pass for the wrong reason."""
    assert Webhook(SECRET).sign("id", datetime.now(UTC), "").startswith("v1,")
