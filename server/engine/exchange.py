"""One round trip of the protocol: bytes in, push, pull, bytes out.

The changes of a page are JSON text made by the database; they are joined into the answer and never parsed. A request is
parsed in the event loop only where it is short: a few kilobytes, unpacked, may be megabytes of brackets that take
seconds, and everybody else would wait for them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
from pydantic_core import to_json

from server import meters
from server.engine.pull import Page, Puller, bucket_names
from server.engine.push import Pushed, Pusher
from server.ports import NotPermittedError, Principal
from sync.clock import encode_instant
from sync.protocol import Registry, SyncRequest
from sync.version import PROTOCOL_VERSION

SHORT_BYTES = 64 * 1024
PARSERS = 2
"""So many long bodies are parsed at a time: each holds many times its size in memory."""


class Exchange:
    """Answers `POST /v1/sync`."""

    def __init__(
        self, registry: Registry, pusher: Pusher, puller: Puller, clock: Callable[[], int], *, oldest_schema: int = 1
    ) -> None:
        """`clock` gives milliseconds since 1970. An app built for less than `oldest_schema` may push, and not pull."""
        self._registry, self._pusher, self._puller, self._clock = registry, pusher, puller, clock
        self._oldest_schema = oldest_schema
        self._parsers = anyio.CapacityLimiter(PARSERS)

    async def sync(self, principal: Principal, body: bytes, correlation_id: str) -> bytes:
        """The answer's JSON. Raises SyncError, PrincipalMovedError, UnknownTenantError, DatabaseError."""
        request = await self._parse(body)
        _check_permissions(principal, request)
        pushed: Pushed | None = None
        if request.get("mutations"):
            await self._puller.vouch(principal.tenant_id, request.get("cursor"))
            pushed = await self._push(principal, request, correlation_id)
        too_old = request.get("schema", self._registry.schema) < self._oldest_schema
        if too_old:
            request["collections"] = []
        if pushed is not None and not pushed.rewound and not request.get("collections"):
            return self._answer(pushed, await self._standing(principal, request, pushed), too_old=too_old)
        with meters.SYNC_SECONDS.labels("pull").time():
            page = await self._puller.pull(principal, request, rewound=pushed is not None and pushed.rewound)
        if too_old:
            page = page._replace(changes=[], dropped=(), cursor=request.get("cursor"), more=False, reset=False)
        return self._answer(pushed, page, too_old=too_old)

    async def _parse(self, body: bytes) -> SyncRequest:
        if len(body) <= SHORT_BYTES:
            return self._registry.parse_request(body)
        return await anyio.to_thread.run_sync(self._registry.parse_request, body, limiter=self._parsers)

    async def _push(self, principal: Principal, request: SyncRequest, correlation_id: str) -> Pushed:
        with meters.SYNC_SECONDS.labels("push").time():
            pushed = await self._pusher.push(principal, request, correlation_id)
        for status, times in Counter(verdict["status"] for verdict in pushed.verdicts).items():
            meters.VERDICTS.labels(status).inc(times)
        return pushed

    async def _standing(self, principal: Principal, request: SyncRequest, pushed: Pushed) -> Page:
        """The page of somebody who only pushes: no changes, the cursor as it was."""
        tenant_id = principal.tenant_id
        head = self._puller.head_name(tenant_id, pushed.epoch, pushed.seq)
        late = await self._puller.late(tenant_id, request["client_id"]) if pushed.ended else ()
        return Page(
            pushed.epoch,
            head,
            pushed.last_mutation_id,
            [],
            request.get("cursor"),
            late=late,
            safe_mutation_id=pushed.safe_mutation_id,
        )

    def _answer(self, pushed: Pushed | None, page: Page, *, too_old: bool) -> bytes:
        members: dict[str, Any] = {
            "protocol": PROTOCOL_VERSION,
            "server_time": encode_instant(self._clock()),
            "epoch": page.epoch,
            "head": page.head,
            "last_mutation_id": page.last_mutation_id if pushed is None else pushed.last_mutation_id,
            "safe_mutation_id": page.safe_mutation_id,
            "verdicts": [*([] if pushed is None else pushed.verdicts), *page.late],
            "dropped": bucket_names(page.dropped),
            "cursor": page.cursor,
            "more": page.more,
            "reset": page.reset,
            "digest": page.digest,
            "too_old": too_old,
        }
        return b'%s,"changes":[%s]}' % (to_json(members)[:-1], ",".join(page.changes).encode())


def _check_permissions(principal: Principal, request: SyncRequest) -> None:
    """Raise NotPermittedError where a key that was narrowed asks for more."""
    if request.get("mutations") and not principal.may("push"):
        raise NotPermittedError("push")
    if request.get("collections") and not principal.may("pull"):
        raise NotPermittedError("pull")
