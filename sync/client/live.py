"""Live: pokes. A stream of server-sent events says what the newest head is; one we have not pulled means: sync now.

A lost poke costs at most a heartbeat, and a lost stream nothing but time: the loop looks by itself as well.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import NamedTuple

import httpx

from sync.client.backoff import Backoff
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.transport import BROKEN, Transport, retry_after_s


class LiveEvent(NamedTuple):
    """One server-sent event."""

    kind: str
    data: str


async def parse_events(lines: AsyncIterator[str]) -> AsyncGenerator[LiveEvent, None]:
    """Events off the lines of a stream (WHATWG HTML, 9.2.6): fields until an empty line; comments are ignored."""
    kind, data = "message", list[str]()
    async for line in lines:
        if not line and data:
            yield LiveEvent(kind, "\n".join(data))
        if not line:
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def head_of(event: LiveEvent) -> str | None:
    """The head an event tells, if it tells one."""
    try:
        told = json.loads(event.data)
    except ValueError:
        return None
    head = told.get("head") if isinstance(told, dict) else None
    return head if isinstance(head, str) else None


class Live:
    """Listens, and calls `news` where there is some."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        transport: Transport,
        options: Options,
        runtime: Runtime,
        *,
        is_news: Callable[[str], bool],
        news: Callable[[], None],
    ) -> None:
        """`is_news` tells whether a head is one that was not pulled yet."""
        self._http, self._transport, self._runtime = http, transport, runtime
        self._timeout = httpx.Timeout(options.timeout_s, read=options.live_silence_s)
        self._backoff = Backoff(options, runtime.random)
        self._is_news, self._news = is_news, news

    async def listen(self) -> None:
        """Listen for ever, connecting again after every loss."""
        while True:
            asked_s = None
            with suppress(*BROKEN):  # the loop's own requests tell how the network is
                asked_s = await self._connection()
            await self._runtime.sleep(self._backoff.next_s(asked_s))

    async def _connection(self) -> float | None:
        """Listen until it ends; the seconds that a server which refuses asks to wait."""
        headers = {**self._transport.headers(), "Accept": "text/event-stream"}
        url = self._transport.live_url()
        async with self._http.stream("GET", url, headers=headers, timeout=self._timeout) as response:
            if response.status_code != httpx.codes.OK:
                return retry_after_s(response, self._runtime.clock_ms)
            async with aclosing(parse_events(response.aiter_lines())) as events:
                async for event in events:
                    self._backoff.reset()
                    self._hear(event)
        return None

    def _hear(self, event: LiveEvent) -> None:
        head = head_of(event)
        if head is None or self._is_news(head):  # an event without a head, such as `signed_out`: the loop finds out
            self._news()
