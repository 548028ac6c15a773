"""What the way out cannot use: refused when it is set; and if it is met later, nothing was sent."""

import errno
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError

from server.outbound import Credentials, Outbound, OutboundError, open_outbound
from server.outbound.auth import AccountAuth
from server.outbound.client import NoTokens
from server.outbound.form import credentials_of
from server.outbound.signing import sign
from server.outbound.tls import make_context
from server.ports import Account
from tests.credentials.test_signing import pem
from tests.credentials.test_tls import ROOTS, SHOP
from tests.credentials.test_tls import pem as identity_pem

HERE = "https://localhost:1/hook"
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505  # it is to be refused


def small_identity() -> str:
    """A key that no TLS library of today shows, with its certificate."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    made = x509.CertificateBuilder(name, name, SMALL.public_key(), 1)
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2031, 1, 1, tzinfo=UTC))
    return pem(SMALL) + pem_of(made.sign(SMALL, SHA256()))


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return ssl.DER_cert_to_PEM_cert(certificate.public_bytes(Encoding.DER))


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may talk to this machine."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"client_certificate": small_identity()}, "cannot be used"),
        ({"signing_key": pem(SMALL), "signing_key_id": "k"}, "Not a private key we can sign with"),
        ({"api_key": "chiave più"}, "printable ASCII"),
        ({"api_key": "k-1\n"}, "printable ASCII"),
        ({"api_key": ""}, "printable ASCII"),
    ],
    ids=["certificate", "signing key", "letters", "line end", "nothing"],
)
def test_what_cannot_be_sent_is_refused_when_it_is_set(given: dict[str, str], says: str) -> None:
    """Not when the first sale goes out."""
    with pytest.raises(ValidationError, match=says):
        Credentials.model_validate(given)


def test_roots_may_have_comments_in_any_language() -> None:
    """Only the certificates among them count."""
    roots = Credentials(trusted_roots=f"# Autorità, Főtanúsítvány\n{ROOTS}").trusted_roots
    assert len(make_context(None, roots).get_ca_certs()) == 1


@pytest.mark.parametrize(
    "unusable",
    [
        {"client_certificate": SecretStr(small_identity())},
        {"client_certificate": SecretStr("x")},
        {"trusted_roots": "x"},
        {"trusted_roots": "è"},
    ],
    ids=["a small key", "no certificate", "no roots", "no letters"],
)
async def test_what_cannot_be_shown_is_never_taken_for_sent(outbound: Outbound, unusable: dict[str, Any]) -> None:
    """Stored by an older release, or become unusable by a newer library."""
    with pytest.raises(OutboundError, match="unsendable"):
        await outbound.ask_for_token(HERE, b"", {}, 5, Credentials.model_construct(**unusable))


async def test_a_system_out_of_files_is_no_fault_of_the_accounts(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, for nothing was sent."""
    shown = Credentials(client_certificate=SecretStr(identity_pem(SHOP)))

    def full(*_arguments: Any) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("server.outbound.tls.os.memfd_create", full)
    monkeypatch.setattr("server.outbound.tls.tempfile.mkstemp", full)
    with pytest.raises(OutboundError, match=r"^connect$"):
        await outbound.ask_for_token(HERE, b"", {}, 5, shown)


@pytest.mark.parametrize(
    "unusable",
    [
        {"signing_key": SecretStr("x"), "signing_key_id": "k"},
        {"signing_key": SecretStr(pem(SMALL)), "signing_key_id": "k"},
    ],
    ids=["no key", "a small key"],
)
async def test_what_cannot_be_signed_is_never_taken_for_sent(unusable: dict[str, Any]) -> None:
    """It fails before the request has left."""
    auth = AccountAuth(Account("t", "e", {}, {}), Credentials.model_construct(**unusable), NoTokens(), lambda: 1)
    with pytest.raises(OutboundError, match="unsendable"):
        await anext(auth.async_auth_flow(httpx.Request("POST", HERE, content=b"{}")))


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[], int]:
    """How often a function was called from now on."""
    module, _, function = name.rpartition(".")
    calls: list[None] = []
    real = getattr(__import__(module, fromlist=[function]), function)

    def counting(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        return real(*arguments, **named)

    monkeypatch.setattr(name, counting)
    return lambda: len(calls)


def test_keys_are_parsed_once_however_often_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An RSA key's check takes tens of milliseconds, in which nobody else is served."""
    loaded = counted(monkeypatch, "server.outbound.signing.load_pem_private_key")
    parsed = counted(monkeypatch, "server.outbound.tls.load_pem_private_key")
    shown, key = identity_pem(trustme.CA().issue_cert("a@example.com")), pem(rsa.generate_private_key(65537, 2048))
    account = Account("t", "e", {"signing_key_id": "k"}, {"client_certificate": shown, "signing_key": key})
    for _ in range(3):
        credentials_of(account)
        sign(httpx.Request("POST", HERE, content=b"{}"), key, "k", 1)
    assert (loaded(), parsed()) == (1, 1)


def test_public_roots_are_not_read_where_others_replace_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a hundred and more, and none of them would be trusted."""
    read = counted(monkeypatch, "httpx.create_ssl_context")
    assert len(make_context(identity_pem(SHOP), ROOTS).get_ca_certs()) == 1
    assert read() == 0
    assert make_context(None, None).verify_mode == ssl.CERT_REQUIRED
    assert read() == 1
