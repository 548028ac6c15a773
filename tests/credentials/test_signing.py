"""What a request proves itself with besides tokens: signatures, keys; and answers that have no end."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from pydantic import ValidationError

from server.outbound import Credentials, Outbound, open_outbound
from server.outbound.signing import load_signing_key
from server.ports import Account

KEYS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def pem(key: Any) -> str:
    """As an endpoint is given it."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may talk to this machine."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


@contextmanager
def answering(*answers: bytes, endless: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A server with one answer a connection, which may go on without end; and what it was sent."""
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            peer, _ = listener.accept()
            with peer, suppress(OSError):
                peer.settimeout(5)
                heard.append(_request(peer))
                peer.sendall(answer)
                while endless:
                    peer.sendall(endless)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook?a=1", heard
        thread.join(5)


def _request(peer: socket.socket) -> bytes:
    text = b""
    while b"\r\n\r\n" not in text or not text.endswith(b"}"):
        text += peer.recv(65536)
    return text


def message(url: str, request: bytes) -> Any:
    """A request as a verifier takes it."""
    head = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    return SimpleNamespace(method=head[0].split()[0], url=url, headers=headers)


@pytest.mark.parametrize("kind", KEYS)
async def test_a_receiver_can_verify_who_sent_what(outbound: Outbound, kind: str) -> None:
    """RFC 9421 over method, address, key and body; and no other body has that signature."""
    key = KEYS[kind]()
    account = Account("t", "e", {"signing_key_id": "shop-1"}, {"signing_key": pem(key), "api_key": "k-1"})
    headers = {"Content-Type": "application/json"}
    with answering(OK) as (url, heard):
        await outbound.post(url, b'{"total":"1.20"}', headers, 5, account)
    came, public = message(url, heard[0]), {"shop-1": key.public_key()}
    verifier = HTTPMessageVerifier(
        signature_algorithm=load_signing_key(pem(key))[1],
        key_resolver=MappingKeyResolver(private_keys={}, public_keys=public),
    )
    (verified,) = verifier.verify(came, body=b'{"total":"1.20"}')
    covered = {name.strip('"') for name in verified.covered_components}
    assert covered >= {"@method", "@target-uri", "authorization", "content-type", "content-digest"}
    assert came.headers["authorization"] == "Bearer k-1"
    with pytest.raises(InvalidSignature):
        verifier.verify(came, body=b'{"total":"9.20"}')


async def test_a_key_goes_into_the_header_its_provider_reads(outbound: Outbound) -> None:
    """Bare, where it is not `Authorization`."""
    with answering(OK) as (url, heard):
        account = Account("t", "e", {"api_key_header": "X-Api-Key"}, {"api_key": "k-1"})
        await outbound.post(url, b"{}", {}, 5, account)
    assert message(url, heard[0]).headers["x-api-key"] == "k-1"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"oauth_grant": "client_credentials"}, "needs oauth_token_url"),
        ({"oauth_grant": "authorization_code", "oauth_token_url": "u", "oauth_client_id": "c"}, "oauth_authorize_url"),
        ({"oauth_grant": "client_credentials", "oauth_token_url": "u", "oauth_client_id": "c"}, "oauth_client_secret"),
        ({"signing_key": pem(KEYS["ed25519"]())}, "go together"),
        ({"signing_key": "x", "signing_key_id": "k"}, "Not a private key"),
        ({"client_certificate": "x"}, "no certificate"),
        ({"trusted_roots": "x"}, "no certificate"),
        ({"api_key_header": "X Api"}, "match pattern"),
    ],
)
def test_credentials_that_do_not_belong_together_are_refused(given: dict[str, str], says: str) -> None:
    """When they are set, and without showing them."""
    with pytest.raises(ValidationError, match=says):
        Credentials.model_validate(given)


class Tokens:
    """Gives one token after the other."""

    async def token(self, _account: Account, refused: str | None = None) -> str:
        return "one" if refused is None else "two"


async def test_of_an_answer_without_end_only_so_much_is_read(outbound: Outbound) -> None:
    """Also of the refusal after which the request is sent again."""
    account = Account(
        "t",
        "e",
        {"oauth_grant": "client_credentials", "oauth_token_url": "u", "oauth_client_id": "c"},
        {"oauth_client_secret": "s"},
    )
    outbound.authorize_with(Tokens())
    started = time.monotonic()
    refusal = b"HTTP/1.1 401 Unauthorized\r\n\r\n"
    with answering(refusal, b"HTTP/1.1 200 OK\r\n\r\n", endless=b"x" * 65536) as (url, heard):
        reply = await outbound.post(url, b"{}", {}, 5, account)
    sent = [message(url, one).headers["authorization"] for one in heard]
    assert (reply.status, reply.body, sent) == (200, None, ["Bearer one", "Bearer two"])
    assert time.monotonic() - started < 5
