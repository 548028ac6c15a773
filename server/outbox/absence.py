"""Proving that a delivery which may have taken effect had none: by asking its account, where its operation can ask.

The proof holds for the row as it stood (its fence): if anybody tries it meanwhile, it is worth nothing. Sooner than the
provider's lag after the last attempt there is none to be had.
"""

import anyio

from server.outbound import OutboundError
from server.outbox.call import Caller
from server.outbox.claim import Claimed
from server.outbox.history import LEASE_MS, Times
from server.outbox.listing import OutboxError
from server.outbox.preview import as_claimed
from server.outbox.rerouting import Proof
from server.resilience.errors import DeliveryError
from server.storage.database import Database, Tx


async def prove_absent(database: Database, caller: Caller, place: tuple[str, str]) -> Proof | None:
    """What shows that (tenant, delivery) had no effect; None where it needs no proof, or there is none to be had.

    Raises OutboxError (unknown_delivery, not_provable).
    """

    async def work(tx: Tx) -> tuple[str, Claimed]:
        return await as_claimed(tx, place, caller)

    _, claimed = await database.read(work)
    operation = caller.operation(claimed)
    if not claimed.ambiguous or operation is None or operation.look_up is None:
        return None
    sent = await Times(database, LEASE_MS).of(claimed, operation)
    if caller.clock() <= sent.last_ms + int(operation.lag_s * 1000) and operation.lag_s:
        raise OutboxError("not_provable", f"what it may have made shows there only {operation.lag_s:g} s after it")
    try:
        with anyio.fail_after(caller.deadline_s):
            found = await operation.look_up(caller.prepare(claimed))
    except (OutboundError, DeliveryError, TimeoutError) as error:
        said = f"its account cannot be asked whether it is there ({str(error) or 'no answer in time'})"
        raise OutboxError("not_provable", said) from None
    return Proof(claimed.delivery_id, claimed.fence) if found is None else None
