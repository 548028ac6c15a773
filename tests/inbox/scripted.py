"""A source and an engine that do what a test says, where what matters is order and time and not a vendor's format."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio

from server.ports import (
    Account,
    Answer,
    Applying,
    Cause,
    Draft,
    Fetched,
    Poller,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    WebhookEvent,
    WebhookRefusedError,
)
from server.storage.writer import Writing
from sync.outcome import Outcome
from sync.protocol import Mutation

Fetching = Callable[[WebhookEvent], Fetched | Awaitable[Fetched | None] | None]
Reader = Callable[[WebhookEvent, Fetched | None], Reading]


class Scripted:
    """A stand-in for a source, where what matters is order and time and not a vendor's format.

    A body is `{"name": …}`; read, it makes a customer of that name, unless a test says otherwise.
    """

    name = "scripted"
    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset(("x-event",))

    def __init__(self, fetch: Fetching | None = None, read: Reader | None = None) -> None:
        self.fetching: Fetching = fetch or (lambda _event: None)
        self.reading: Reader = read or self.customer
        self.fetched: list[str] = []

    def webhooks(self) -> Mapping[str, "Scripted"]:
        return {"scripted": self}

    def pollers(self) -> Mapping[str, Poller]:
        return {}

    def verify(self, _account: Account, received: Received) -> Recognised:
        if "x-event" not in received.headers:
            raise WebhookRefusedError("unsigned")
        return Recognised(received.headers["x-event"], "customer.told", received.headers.get("x-object"), "secret")

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        self.fetched.append(event.event_id)
        await anyio.lowlevel.checkpoint()
        fetched = self.fetching(event)
        return await fetched if isinstance(fetched, Awaitable) else fetched

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        return self.reading(event, fetched)

    def customer(self, event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        """A customer of the name that the body says."""
        name = json.loads(event.body)["name"]
        return Reading([Draft("customers", f"{event.account.endpoint_id}:{name}", "", {"name": name})])


def answering(status: int, **more: Any) -> Fetching:
    """A fetch that is answered so."""
    return lambda _event: Fetched(Answer(status, **more), b"{}")


def raising(error: Exception) -> Any:
    """A fetch that fails so."""

    def fetch(_event: WebhookEvent) -> None:
        raise error

    return fetch


class Failing:
    """Applies, and then breaks: so many times."""

    def __init__(self, applying: Applying, error: Exception, times: int) -> None:
        self._applying, self._error, self.times = applying, error, times

    async def apply(
        self, writing: Writing, tenant_id: str, author: str, mutations: Sequence[Mutation], cause: Cause
    ) -> list[Outcome]:
        outcomes = await self._applying.apply(writing, tenant_id, author, mutations, cause)
        if self.times:
            self.times -= 1
            raise self._error
        return outcomes
