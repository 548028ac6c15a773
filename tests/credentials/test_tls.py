"""TLS towards providers: who is trusted, and what is shown to a server that demands a certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import trustme

from server.outbound import Outbound, OutboundError, open_outbound
from server.outbound.tls import CertificateError, make_context, parse_identity
from server.ports import Account
from server.resilience.classify import classify_reason
from tests.credentials.tls_server import TlsServer, tls_server

AUTHORITY = trustme.CA()
OTHERS = trustme.CA()
SHOP, STRANGER = AUTHORITY.issue_cert("shop@example.com"), OTHERS.issue_cert("stranger@example.com")
ROOTS = AUTHORITY.cert_pem.bytes().decode()


def pem(certificate: trustme.LeafCert) -> str:
    """Key and chain, as an endpoint is given them."""
    return certificate.private_key_and_cert_chain_pem.bytes().decode()


def account(**settings: str) -> Account:
    """An account with these credentials."""
    secret = {name: settings.pop(name) for name in ("client_certificate",) if name in settings}
    return Account("t", "e", settings, secret)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may talk to this machine."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


def server_context(name: str = "localhost", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A server that demands a certificate of the authority's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(name).configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        context.maximum_version = version
    return context


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def demanding(request: pytest.FixtureRequest) -> AsyncIterator[TlsServer]:
    """A server that demands a certificate, by either version."""
    async with tls_server(server_context(version=request.param)) as running:
        yield running


async def post(outbound: Outbound, url: str, as_account: Account | None) -> int:
    """The answer's status."""
    return (await outbound.post(url, b"{}", {}, 5, as_account)).status


async def test_the_accounts_certificate_is_shown(outbound: Outbound, demanding: TlsServer) -> None:
    """And only its own: another account, whose certificate is renewed, has another connection."""
    renewed = AUTHORITY.issue_cert("renewed@example.com")
    for certificate in (SHOP, renewed, SHOP):
        shown = account(client_certificate=pem(certificate), trusted_roots=ROOTS)
        assert await post(outbound, demanding.url, shown) == 200
    assert demanding.clients == ["shop@example.com", "renewed@example.com", "shop@example.com"]


@pytest.mark.parametrize("shown", [None, STRANGER], ids=["none", "another authority's"])
async def test_a_refused_certificate_is_for_a_person(
    outbound: Outbound, demanding: TlsServer, shown: trustme.LeafCert | None
) -> None:
    """Whatever can be heard of it: under 1.3 a hasty server may cut the refusal off. No request was looked at."""
    given = {} if shown is None else {"client_certificate": pem(shown)}
    with pytest.raises(OutboundError) as raised:
        await post(outbound, demanding.url, account(trusted_roots=ROOTS, **given))
    assert raised.value.reason in {"certificate_refused", "tls", "read", "write", "connect"}
    assert demanding.requests == []


async def test_a_refusal_that_is_heard_is_told_from_a_lost_answer(outbound: Outbound) -> None:
    """A server that closes in good order gives its alert time to arrive."""
    context = server_context(version=ssl.TLSVersion.TLSv1_3)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
            except ssl.SSLError:
                break
        writer.write(outgoing.read())
        await writer.drain()
        writer.write_eof()
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(OutboundError) as raised:
            await post(outbound, url, account(trusted_roots=ROOTS))
    assert raised.value.reason == "certificate_refused"
    assert classify_reason("certificate_refused") == ("permanent", "certificate_refused", False)


@pytest.mark.parametrize(
    ("roots", "name"), [(None, "localhost"), (ROOTS, "elsewhere.example")], ids=["unknown authority", "another name"]
)
async def test_a_server_that_cannot_prove_itself_gets_nothing(outbound: Outbound, roots: str | None, name: str) -> None:
    """Nobody we trust vouches for it, or for another name."""
    async with tls_server(server_context(name)) as running:
        shown = None if roots is None else account(trusted_roots=roots, client_certificate=pem(SHOP))
        with pytest.raises(OutboundError, match="tls"):
            await post(outbound, running.url, shown)
    assert running.requests == []


async def test_an_old_version_is_not_spoken() -> None:
    """1.2 at least."""
    assert make_context(None, None).minimum_version == make_context(pem(SHOP), ROOTS).minimum_version
    assert make_context(None, None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_is_refused_when_it_is_given() -> None:
    """And its end is known."""
    end = datetime(2031, 1, 1, tzinfo=UTC)
    assert parse_identity(pem(AUTHORITY.issue_cert("a@example.com", not_after=end))) == end
    key, chain = SHOP.private_key_pem.bytes().decode(), SHOP.cert_chain_pems[0].bytes().decode()
    stranger = STRANGER.private_key_pem.bytes().decode()
    for wrong, says in ((key, "no certificate"), (chain, "no private key"), (stranger + chain, "not the private key")):
        with pytest.raises(CertificateError, match=says):
            parse_identity(wrong)
