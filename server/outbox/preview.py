"""What a delivery would send if it were due now: rendered by the very code that sends, and not sent.

Nothing is claimed and nothing written. Where a provider needs several requests one after the other, the first is shown:
the next depends on its answer. Of a delivery that may have taken effect, what is shown is the look-up before it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from server.outbound.preview import Recorder, Rendered
from server.outbox.before import SEND, Ask, End, Step, before_call
from server.outbox.call import Caller
from server.outbox.claim import Claimed, Endpoint
from server.outbox.listing import unknown_delivery
from server.outbox.past import read_pasts
from server.ports import DeliveryState
from server.resilience.limits import Limits
from server.storage.database import Database, Tx
from server.storage.statement import Statement

NOT_SENT = "not_sent"
"""The code of a delivery that came as far as the network: it would be sent."""

_MADE_UP = frozenset(("leased_until_ms", "endpoint", "attempt", "past"))
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


async def preview(
    database: Database, caller: Caller, recorder: Recorder, place: tuple[str, str], to: str | None = None
) -> Preview:
    """What (tenant, delivery) would send, or would send through another endpoint.

    `caller` calls by the way out that `recorder` watches. Raises OutboxError (unknown_delivery).
    """

    async def work(tx: Tx) -> tuple[DeliveryState, Claimed]:
        return await as_claimed(tx, place, caller, to)

    state, claimed = await database.read(work)
    code = await _code(claimed, caller)
    rendered = recorder.rendered(_secrets_of(claimed, caller)) if recorder.noted else []
    return Preview(claimed.delivery_id, state, claimed.endpoint_id, rendered, code)


async def _code(claimed: Claimed, caller: Caller) -> str:
    """How far it comes: to the network, or why not."""
    operation = caller.operation(claimed)
    step: Step = SEND if operation is None else before_call(claimed, operation, None, None, caller.clock())
    if isinstance(step, End):
        return step.classified.code
    result = await caller.call(claimed, step) if isinstance(step, Ask) else None
    return "later" if result is None else result.classified.code


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
