"""Who a request comes from when a proxy passed it on, and the certificate it came with."""

import base64
import ssl
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from server.auth.certificates import to_pem
from server.middleware.proxy import TrustedProxy

PROXIES = [ip_network("10.1.0.0/16")]
PEM = trustme.CA().issue_cert("till.example").cert_chain_pems[0].bytes().decode()

DER = base64.b64encode(ssl.PEM_cert_to_DER_cert(PEM)).decode()


async def passed_on(peer: str, *more: tuple[bytes, bytes], **headers: str) -> dict[str, Any]:
    """The scope as the application sees it."""
    seen: list[Any] = []

    async def app(scope: Any, _receive: object, _send: object) -> None:
        seen.append(scope)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    given += more
    scope = {"type": "http", "client": (peer, 1), "headers": given, "scheme": "http", "extensions": {}}
    await TrustedProxy(app, PROXIES, to_pem)(scope, None, None)  # type: ignore[arg-type]  # nobody answers
    found: dict[str, Any] = seen[0]
    return found


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.1.0.5", "203.0.113.9", "203.0.113.9"),
        ("10.1.0.5", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.0.5", "203.0.113.9, 10.1.0.7", "203.0.113.9"),
        ("10.1.0.5", "203.0.113.9:5555", "203.0.113.9"),
        ("10.1.0.5", "[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:10.1.0.5", "203.0.113.9", "203.0.113.9"),
        ("10.1.0.5", "rubbish", "10.1.0.5"),
        ("10.1.0.5", "203.0.113.9, rubbish", "10.1.0.5"),
        ("10.1.0.5", "", "10.1.0.5"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("testclient", "203.0.113.9", "testclient"),
    ],
)
async def test_whom_a_proxy_names_is_believed_of_ours_only(peer: str, forwarded: str, client: str) -> None:
    """The last address that is none of ours; what the client itself wrote before it is not looked at."""
    scope = await passed_on(peer, x_forwarded_for=forwarded, x_forwarded_proto="https")
    assert scope["client"][0] == client
    assert scope["scheme"] == ("https" if peer in {"10.1.0.5", "::ffff:10.1.0.5"} else "http")


@pytest.mark.parametrize(
    ("peer", "value", "chain"),
    [
        ("10.1.0.5", f":{DER}:", [PEM]),
        ("10.1.0.5", quote(PEM), [PEM]),
        ("10.1.0.5", ":no base64:", []),
        ("10.1.0.5", ":AAAA:", []),
        ("10.1.0.5", "", []),
        ("10.1.0.5", quote(PEM + PEM), []),
        ("10.1.0.5", quote(f"x{PEM}"), []),
        ("10.1.0.5", "FAILED", []),
        ("10.1.0.5", f"::{DER}::", []),
        ("10.1.0.5", f":{DER}:,:{DER}:", []),
    ],
    ids=[
        *("rfc9440", "nginx", "broken", "no_certificate", "nothing"),
        *("two_in_one", "text_before", "no_pem", "colons", "a_list"),
    ],  # a certificate is another one in each process
)
async def test_the_certificate_a_proxy_was_shown_is_handed_on(peer: str, value: str, chain: list[str]) -> None:
    """As RFC 9440 writes it, or as nginx does."""
    scope = await passed_on(peer, client_cert=value)
    assert scope["extensions"]["tls"]["client_cert_chain"] == chain


async def test_of_two_certificates_none_is_handed_on() -> None:
    """A proxy that adds its own to what came does not say which is which."""
    scope = await passed_on("10.1.0.5", (b"client-cert", f":{DER}:".encode()), client_cert=quote(PEM))
    assert scope["extensions"]["tls"]["client_cert_chain"] == []


async def test_a_stranger_hands_on_no_certificate() -> None:
    """Whatever the header says."""
    assert (await passed_on("192.0.2.1", client_cert=quote(PEM)))["extensions"] == {}
