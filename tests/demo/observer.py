"""A stranger at the server's door: speaks the public protocol with no code of the server's or the client's.

It pulls everything there is, and sends mutations a second time: each must be answered by the verdict it got first.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from tests.demo.evidence import Mutation, read_journal

COLLECTIONS = ("sales", "products", "customers", "invoices")
_BATCH = 500


class Sender(NamedTuple):
    """Whose mutations are sent again, and under which token."""

    journal: Path
    token: str


class Observer:
    """Pulls, and knows every record it saw. It goes to the server directly: its own line never fails."""

    def __init__(self, url: str, token: str) -> None:
        """A new client, that has seen nothing."""
        self.records: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._url, self._token, self._client_id = url, token, new_client_id()
        self._cursor: str | None = None
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)

    async def __aenter__(self) -> Self:
        """Nothing is pulled yet."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Hang up."""
        await self._http.aclose()

    async def pull(self) -> None:
        """Everything since the last time. Raises httpx.HTTPError."""
        more = True
        while more:
            asked = {"client_id": self._client_id, "cursor": self._cursor, "collections": COLLECTIONS}
            answer = await ask(self._http, self._url, self._token, {**asked, "mutations": []})
            if answer["reset"]:
                self.records.clear()
            self.records |= {(one["collection"], one["record_id"]): one for one in answer["changes"]}
            self._cursor, more = answer["cursor"], answer["more"]


async def verdicts_again(url: str, sender: Sender) -> dict[str, Mapping[str, Any]]:
    """What the server says to mutations it had already, by uid. Raises httpx.HTTPError."""
    found: dict[str, Mapping[str, Any]] = {}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        for client_id, mutations in _batches(read_journal(sender.journal).mutations):
            request = {"client_id": client_id, "cursor": None, "collections": [], "mutations": mutations}
            answer = await ask(http, url, sender.token, request)
            found |= {verdict["uid"]: verdict for verdict in answer["verdicts"]}
    return found


async def ask(http: httpx.AsyncClient, url: str, token: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """One exchange. Raises httpx.HTTPError."""
    headers = {"Authorization": f"Bearer {token}"}
    response = await http.post(f"{url}/v1/sync", json={"protocol": 1, "limit": 1000, **request}, headers=headers)
    response.raise_for_status()
    answer: dict[str, Any] = json.loads(response.content)
    return answer


def new_client_id() -> str:
    """A uuid of version 7."""
    value = time.time_ns() // 1_000_000 << 80 | uuid.uuid4().int & (1 << 80) - 1
    return str(uuid.UUID(int=value & ~(0xF << 76) | 0x7 << 76))


def _batches(mutations: Sequence[Mutation]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    numbered: list[tuple[str, Mapping[str, Any]]] = [
        (one.client_id, {"mutation_id": one.mutation_id, **one.body}) for one in mutations
    ]
    for client_id in dict.fromkeys(client_id for client_id, _ in numbered):
        own = [body for of, body in numbered if of == client_id]
        for start in range(0, len(own), _BATCH):
            yield client_id, own[start : start + _BATCH]
