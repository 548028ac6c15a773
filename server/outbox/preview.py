"""What a delivery would send if it were due now: rendered by the very code that sends, and not sent.

Nothing is claimed and nothing written. Where a provider needs several requests one after the other, the first is shown:
the next depends on its answer. Of a delivery that may have taken effect, what is shown is the look-up before it. An
update that becomes a create when it is claimed is shown as the update that it still is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.outbound.preview import Recorder, Rendered
from server.outbox.before import SEND, Ask, End, Step, before_call, wants_times
from server.outbox.call import Caller
from server.outbox.claim import Claimed, Endpoint, with_names
from server.outbox.history import LEASE_MS, Times
from server.outbox.listing import unknown_delivery
from server.outbox.past import read_pasts
from server.ports import DeliveryState, Route
from server.resilience.limits import Limits
from server.storage.database import Database, Tx
from server.storage.statement import Statement

NOT_SENT = "not_sent"
"""The code of a delivery that came as far as the network: it would be sent."""

_MADE_UP = frozenset(("leased_until_ms", "endpoint", "attempt", "past", "names"))
_OF_THE_ROW = tuple(name for name in Claimed._fields if name not in _MADE_UP)
_ROW = Statement(
    f"""SELECT state, attempts, {", ".join(_OF_THE_ROW)} FROM outbox
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"""  # noqa: S608  # the names of our columns
)
_ENDPOINT = Statement(
    """SELECT provider, settings, sealed FROM endpoints
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""
)


class Preview(NamedTuple):
    """A delivery, where it goes, and what would be sent there; `code` says why nothing would, else NOT_SENT."""

    delivery_id: str
    state: DeliveryState
    endpoint_id: str
    requests: list[Rendered]
    code: str


@dataclass(frozen=True)
class Previewer:
    """Looks ahead; `caller` calls by the way out that `recorder` watches."""

    database: Database
    routes: Mapping[str, Route]
    caller: Caller
    recorder: Recorder

    async def preview(self, tenant_id: str, delivery_id: str, to: str | None = None) -> Preview:
        """What a delivery would send, or would send through another endpoint. Raises OutboxError (unknown_delivery)."""

        async def work(tx: Tx) -> tuple[DeliveryState, Claimed]:
            state, claimed = await as_claimed(tx, (tenant_id, delivery_id), self.caller, to)
            return state, await with_names(claimed, self.routes, tx)

        state, claimed = await self.database.read(work)
        route = self.routes.get(claimed.route)
        if route is not None and not route.reads_its_lane:  # then the relay does not know it either
            claimed = claimed._replace(past=None)
        code = await self._code(claimed)
        rendered = self.recorder.rendered(_secrets_of(claimed, self.caller)) if self.recorder.noted else []
        return Preview(claimed.delivery_id, state, claimed.endpoint_id, rendered, code)

    async def _code(self, claimed: Claimed) -> str:
        """How far it comes: to the network, or why not."""
        step = await self._step(claimed)
        if isinstance(step, End):
            return step.classified.code
        result = await self.caller.call(claimed, step) if isinstance(step, Ask) else None
        return "later" if result is None else result.classified.code

    async def _step(self, claimed: Claimed) -> Step:
        """What the relay would do about it."""
        operation, route = self.caller.operation(claimed), self.routes.get(claimed.route)
        if operation is None:
            return SEND
        wanted = wants_times(operation, claimed)
        sent = await Times(self.database, LEASE_MS).of(claimed, operation) if wanted else None
        return before_call(claimed, operation, route, sent, self.caller.clock())


def _secrets_of(claimed: Claimed, caller: Caller) -> Iterable[str]:
    endpoint = claimed.endpoint
    if not endpoint.sealed:
        return ()
    opened = caller.secrets.unseal(claimed.tenant_id, endpoint.provider, claimed.endpoint_id, endpoint.sealed)
    return opened.values()


async def as_claimed(
    tx: Tx, place: tuple[str, str], caller: Caller, to: str | None = None
) -> tuple[DeliveryState, Claimed]:
    """The delivery as a relay would have it in hand, under a lease that nobody took. Raises OutboxError."""
    rows = await tx.fetch(_ROW, place)
    if not rows:
        raise unknown_delivery()
    state, attempts, *values = rows[0]
    row: dict[str, Any] = dict(zip(_OF_THE_ROW, values, strict=True))
    row |= {"endpoint_id": to or row["endpoint_id"], "ambiguous": bool(row["ambiguous"]) and to is None}
    endpoints = await tx.fetch(_ENDPOINT, (row["tenant_id"], row["endpoint_id"]))
    if not endpoints:
        raise unknown_delivery()
    until_ms = caller.clock() + int(caller.deadline_s * 2000)
    provider, settings, sealed = endpoints[0]
    endpoint = Endpoint(provider, settings, sealed, Limits())
    pasts = await read_pasts(tx, row["tenant_id"], [row["delivery_id"]])
    past = pasts.get(row["delivery_id"])
    return state, Claimed(**row, attempt=attempts + 1, leased_until_ms=until_ms, endpoint=endpoint, past=past)
