"""Clients by identity: one for each, and none is closed under a request, whoever makes room meanwhile."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from pydantic import SecretStr

from server.outbound import Credentials, client
from server.outbound.client import _Clients
from tests.credentials.test_tls import ROOTS


class SlowToClose(httpx.AsyncClient):
    """A client whose connections take until `may_close` to end."""

    may_close: anyio.Event

    async def aclose(self) -> None:
        """Wait, then end as it does."""
        await self.may_close.wait()
        await super().aclose()


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[SlowToClose]]:
    """All clients that were made; room is for one."""
    clients: list[SlowToClose] = []
    SlowToClose.may_close = anyio.Event()

    def make(*_arguments: object, **_options: object) -> SlowToClose:
        clients.append(SlowToClose())
        return clients[-1]

    monkeypatch.setattr(client, "_make_client", make)
    monkeypatch.setattr(client, "MAX_IDENTITIES", 1)
    yield clients
    SlowToClose.may_close.set()
    assert all(one.is_closed for one in clients)


def identity(number: int) -> Credentials:
    """Credentials nobody else has."""
    return Credentials.model_construct(trusted_roots=f"# {number}\n{ROOTS}", api_key=SecretStr("k"))


class Requests:
    """Requests that last until they are told to end."""

    def __init__(self, clients: _Clients) -> None:
        self._clients, self.may_end = clients, anyio.Event()
        self.using: list[httpx.AsyncClient] = []

    async def one(self, number: int) -> None:
        """A request of an identity's."""
        async with self._clients.client(identity(number)) as used:
            self.using.append(used)
            await self.may_end.wait()
            assert not used.is_closed


async def test_two_requests_of_a_new_identity_share_a_client(made: list[SlowToClose]) -> None:
    """Although room is made meanwhile; the one that made room is not lost at the end."""
    clients = _Clients(allow_loopback=False)
    async with clients.client(identity(0)):
        pass
    requests = Requests(clients)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(requests.one, 1)
        tasks.start_soon(requests.one, 1)
        await anyio.wait_all_tasks_blocked()
        SlowToClose.may_close.set()
        await anyio.wait_all_tasks_blocked()
        requests.may_end.set()
    assert (len(made), requests.using) == (2, [made[1], made[1]])
    await clients.close()


async def test_a_client_that_is_taken_while_room_is_made_is_not_closed(made: list[SlowToClose]) -> None:
    """It was idle when the first victim was chosen, and is not when its turn comes."""
    clients = _Clients(allow_loopback=False)
    before, after = Requests(clients), Requests(clients)
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(before.one, number)
        await anyio.wait_all_tasks_blocked()
        before.may_end.set()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(after.one, 3)
        await anyio.wait_all_tasks_blocked()  # it closes the first, and would close the others
        tasks.start_soon(after.one, 1)
        await anyio.wait_all_tasks_blocked()
        SlowToClose.may_close.set()
        await anyio.wait_all_tasks_blocked()
        assert [one.is_closed for one in made] == [True, False, True, False]
        after.may_end.set()
    await clients.close()
