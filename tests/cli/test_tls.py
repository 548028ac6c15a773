"""HTTPS by the server's own command: its files, and its clients' certificates."""

import datetime as dt
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn

from server.app import create_app, open_core
from server.audit import OPERATOR
from server.auth.certificates import fingerprint_of
from server.auth.keys import Terms
from server.cli.protocol import Protocol
from server.cli.tls import check_tls
from server.settings import Settings, SettingsError
from tests.support.serving import served_by

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
AUTHORITY, OTHERS = trustme.CA(), trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")
TILL, ANOTHER = (AUTHORITY.issue_cert(f"{name}@shop.example") for name in ("till", "another"))
ENDED = AUTHORITY.issue_cert("till@shop.example", not_before=NOW - 9 * DAY, not_after=NOW - DAY)


def pem(certificate: trustme.LeafCert) -> str:
    """The certificate alone."""
    return certificate.cert_chain_pems[0].bytes().decode()


def written(folder: Path, name: str, *blobs: trustme.Blob) -> Path:
    """A file of them."""
    file = folder / name
    file.write_bytes(b"".join(blob.bytes() for blob in blobs))
    return file


def files(folder: Path, certificate: trustme.LeafCert = SERVER, key: trustme.LeafCert = SERVER) -> tuple[Path, Path]:
    """Certificate and key as files."""
    return (
        written(folder, "cert.pem", *certificate.cert_chain_pems),
        written(folder, "key.pem", key.private_key_pem),
    )


@dataclass
class Door:
    """A server by HTTPS; each key's token by the name of the certificate it is tied to."""

    url: str
    tokens: dict[str, str]

    async def status(self, key: str, shown: trustme.LeafCert | None) -> int | None:
        """What a request with a key and a certificate is answered with; None where there is no connection."""
        context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
        if shown is not None:
            shown.configure_cert(context)
        headers = {"Authorization": f"Bearer {self.tokens[key]}", "Client-Cert": pem(TILL).replace("\n", "%0A")}
        try:
            async with httpx.AsyncClient(verify=context, trust_env=False) as http:
                return (await http.get(f"{self.url}/v1/schema", headers=headers)).status_code
        except httpx.TransportError:
            return None


@pytest.fixture
async def door(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """A device with a key tied to a certificate and one that is not."""
    assert sqlite_url.endswith(f"{tmp_path}/rientro.db")
    settings = Settings(data=tmp_path, relay=False)
    tokens = {}
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar")
        till = await core.admin.add_device(tenant_id, "Cassa", "terminal", "centro")
        tokens["free"] = till.token
        for name, shown in (("till", TILL), ("ended", ENDED)):
            terms = Terms(certificate=fingerprint_of(pem(shown)))
            made = await core.access.keys.issue(tenant_id, till.device_id, name, terms, OPERATOR)
            tokens[name] = made.token
    ca = written(tmp_path, "ca.pem", AUTHORITY.cert_pem)
    tls = check_tls(*files(tmp_path), ca, NOW)
    assert tls is not None
    app = create_app(settings, migrate=False, tls_ends_at=tls.ends_at)
    async with serving(app, **tls.options()) as url:
        yield Door(url.replace("http:", "https:"), tokens)


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """A real server with our protocol."""
    async with served_by(uvicorn.Config(app, log_config=None, http=Protocol, proxy_headers=False, **options)) as url:
        yield url


async def test_a_key_is_let_in_with_its_certificate_and_no_other(door: Door) -> None:
    """None, another one of the same authority: 401. Made by somebody else, or out of date: no connection at all."""
    own = OTHERS.issue_cert("till@shop.example")
    shown = (TILL, None, ANOTHER, own, ENDED)
    assert [await door.status("till", one) for one in shown] == [200, 401, 401, None, None]
    assert await door.status("ended", ENDED) is None
    assert [await door.status("free", one) for one in (None, TILL)] == [200, 200]


async def test_by_https_the_headers_and_the_end_of_the_certificate_are_told(door: Door) -> None:
    """For whoever watches the server, and for browsers."""
    context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    async with httpx.AsyncClient(verify=context, trust_env=False) as http:
        answer = await http.get(f"{door.url}/health/ready")
        text = (await http.get(f"{door.url}/metrics")).text
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.json()["status"] == "ready"
    ends = dt.datetime.fromisoformat(answer.json()["certificate_ends_at"])
    assert ends > NOW
    told = re.findall(r'rientro_tls_ends_timestamp_seconds{what="server"} (\S+)', text)
    assert [float(one) for one in told] == [ends.timestamp()]


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("key", "needs both"),
        ("file", "there is no file"),
        ("match", "is not the key of"),
        ("text", "is not a certificate in PEM"),
        ("key text", "is not a private key in PEM"),
        ("ended", "ended on"),
        ("early", "begins on"),
        ("ca", "--tls-client-ca: there is no file"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(tmp_path: Path, missing: str, says: str) -> None:
    """Before anything is served."""
    certificate, key = files(tmp_path, ENDED if missing == "ended" else SERVER, ENDED if missing == "ended" else SERVER)
    given: list[Path | None] = [certificate, key, None]
    if missing == "match":
        given[1] = written(tmp_path, "other.pem", TILL.private_key_pem)
    elif missing in {"text", "key text"}:
        (certificate if missing == "text" else key).write_text("no PEM")
    elif missing == "file":
        certificate.unlink()
    elif missing == "ca":
        given[2] = tmp_path / "nowhere.pem"
    elif missing == "key":
        given[1] = None
    with pytest.raises(SettingsError, match=says):
        check_tls(given[0], given[1], given[2], NOW - 99 * 365 * DAY if missing == "early" else NOW)
