"""The outbound client: nobody who names an address can make it call where it should not."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpcore
import pytest

from server.outbound import GuardedBackend, Outbound, OutboundError, check_url, open_outbound
from tests.support.cutting import cutting_peer


@pytest.fixture(scope="module")
async def careful() -> AsyncIterator[Outbound]:
    """A client as it is in production."""
    async with open_outbound(allow_loopback=False) as client:
        yield client


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/hook", "insecure_url"),
        ("http://10.0.0.1/hook", "insecure_url"),
        ("http://127.0.0.1:1/hook", "private_address"),
        ("https://localhost/hook", "private_address"),
        ("https://127.0.0.2/hook", "private_address"),
        ("https://10.0.0.1/hook", "private_address"),
        ("https://169.254.169.254/latest/meta-data", "private_address"),
        ("https://100.64.0.1/", "private_address"),
        ("https://[::1]/", "private_address"),
        ("https://[::ffff:10.0.0.1]/", "private_address"),
        ("https://[fd00::1]/", "private_address"),
        ("https://[64:ff9b::10.0.0.1]/", "private_address"),
        ("https://[2002:a00:1::1]/", "private_address"),
        ("https://[fec0::1]/", "private_address"),
        ("https://[64:ff9b:1::7f00:1]/", "private_address"),
        ("https://[::7f00:1]/", "private_address"),
        ("https://[::ffff:0:7f00:1]/", "private_address"),
        ("https://0.0.0.0/", "private_address"),
        ("https://2130706433/", "private_address"),
        ("ftp://example.com/", "bad_url"),
        ("https://user:password@example.com/", "bad_url"),
        ("https:///nowhere", "bad_url"),
        ("not a url", "bad_url"),
    ],
)
async def test_no_tenant_makes_us_call_inside(careful: Outbound, url: str, reason: str) -> None:
    """HTTPS to public addresses only; refused before a byte is sent, whatever the spelling."""
    with pytest.raises(OutboundError) as raised:
        await careful.post(url, b"{}", {}, 2)
    assert raised.value.reason == reason


async def test_a_name_that_leads_inside_is_refused_at_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of a name is checked, and the one that was checked is connected to: no second look-up."""
    looked_up: list[str] = []
    connected: list[str] = []

    async def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        looked_up.append(host)
        addresses = {"mixed.example": ["93.184.216.34", "10.0.0.1"], "good.example": ["93.184.216.34"]}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    class Recording(httpcore.AsyncMockBackend):
        async def connect_tcp(self, host: str, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
            connected.append(host)
            return await super().connect_tcp(host, *arguments, **options)

    monkeypatch.setattr("server.outbound.guard.anyio.getaddrinfo", resolve)
    backend = GuardedBackend(allow_loopback=True, inner=Recording([]))
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("mixed.example", 443)
    await backend.connect_tcp("good.example", 443)
    assert (looked_up, connected) == (["mixed.example", "good.example"], ["93.184.216.34"])


async def test_nobody_is_waited_for_long_who_does_not_take_the_connection(
    careful: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long its answers may take; looking up its name is part of connecting."""

    async def resolve(*_arguments: Any, **_options: Any) -> list[Any]:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr("server.outbound.guard.anyio.getaddrinfo", resolve)
    monkeypatch.setattr("server.outbound.client.CONNECT_S", 0.02)
    with anyio.fail_after(20), pytest.raises(OutboundError, match="connect_timeout"):
        await careful.post("https://slow.example/", b"{}", {}, 600)


async def test_a_connection_that_is_cut_off_while_it_is_made_brought_no_answer() -> None:
    """Whatever the libraries below say of it, a thousand times: never a defect of ours, which waits for a person."""
    reasons = set()
    async with open_outbound(allow_loopback=True) as client:
        with cutting_peer() as port:
            for _ in range(1000):
                with pytest.raises(OutboundError) as failure:
                    await client.post(f"http://127.0.0.1:{port}/", b"{}", {}, 5)
                reasons.add(failure.value.reason)
    assert reasons <= {"connect", "read", "write"}


async def test_a_public_name_that_leads_here_reaches_nobody(careful: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebound between the check of the address and the connection, it would; a real server hears nothing."""

    async def resolve(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("server.outbound.guard.anyio.getaddrinfo", resolve)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)  # noqa: FBT003
        with pytest.raises(OutboundError, match="private_address"):
            await careful.post(f"https://public.example:{listener.getsockname()[1]}/", b"{}", {}, 2)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_url_can_be_checked_when_it_is_configured() -> None:
    """The same rules, without a connection."""
    check_url("https://example.com/hook", allow_loopback=False)
    check_url("http://localhost:8000/hook", allow_loopback=True)
    with pytest.raises(OutboundError, match="private_address"):
        check_url("http://localhost:8000/hook", allow_loopback=False)
