"""HTTPS by the server's own command: its files, its clients' certificates, and connections that never end."""

import datetime as dt
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
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
async def serving(app: Any, protocol: type[Protocol] = Protocol, **options: Any) -> AsyncIterator[str]:
    """A real server with our protocol."""
    async with served_by(uvicorn.Config(app, log_config=None, http=protocol, proxy_headers=False, **options)) as url:
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


class Hasty(Protocol):
    """Bounds that a test can wait for."""

    HEAD_S = BODY_S = 0.3


@pytest.fixture
async def hasty(sqlite_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A server that waits for nobody."""
    async with serving(create_app(Settings(data=tmp_path, relay=False), migrate=False), Hasty) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


async def heard(address: tuple[str, int], *parts: bytes, each_s: float = 0) -> bytes:
    """What comes back until the server closes, while `parts` are sent one after the other."""
    heard = bytearray()
    async with await anyio.connect_tcp(*address) as stream, anyio.create_task_group() as tasks:

        async def trickle() -> None:
            for part in parts:
                await stream.send(part)
                await anyio.sleep(each_s)

        tasks.start_soon(trickle)
        try:
            with anyio.fail_after(5):
                while True:
                    heard += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            tasks.cancel_scope.cancel()
    return bytes(heard)


_POST = b"POST /v1/auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b""], b""),
        ([b"GET / HTTP/1.1\r\n"], b"HTTP/1.1 408"),
        ([b"GET /health/live HTTP/1.1\r\nx-a: ", *[b"a"] * 100], b"HTTP/1.1 408"),
        ([b"\r\n"] * 100, b"HTTP/1.1 408"),
        ([_POST, *[b"{"] * 100], b"HTTP/1.1 408"),
    ],
    ids=["silence", "half a head", "a header without an end", "no request at all", "a body that trickles in"],
)
async def test_what_never_ends_is_cut_off(
    hasty: tuple[str, int], parts: Sequence[bytes], status: bytes, lines: Any
) -> None:
    """However it trickles; the log has no alarm of it."""
    answer = await heard(hasty, *parts, each_s=0.02)
    assert answer.startswith(status)
    assert bool(answer) == bool(status)
    assert '"alarm": true' not in lines.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        b"x-long: " + b"a" * 70_000,
        b"\r\n".join(b"x-%d: a" % number for number in range(200)),
        b"x-long: a\r\n" * 3 + b"x: " + b"b" * 40_000 + b"\r\n\r\n",
    ],
    ids=["one", "many", "whole"],
)
async def test_a_head_that_is_too_long_is_refused(hasty: tuple[str, int], head: bytes) -> None:
    """431, and the connection is closed."""
    parts = [head[at : at + 4096] for at in range(0, len(head), 4096)]
    answer = await heard(hasty, b"GET /health/live HTTP/1.1\r\nhost: x\r\n", *parts)
    assert answer.startswith(b"HTTP/1.1 431")


async def test_one_connection_serves_many_requests_and_large_bodies(hasty: tuple[str, int]) -> None:
    """The bounds are for heads, and for each request anew."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hasty[1]}", trust_env=False) as http:
        for _ in range(3):
            assert (await http.get("/health/live")).status_code == 200
            large = await http.post("/v1/auth/refresh", content=b"x" * 300_000)
            assert (large.status_code, large.json()["code"]) == (413, "too_large")
            await anyio.sleep(0.2)
