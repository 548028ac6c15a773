"""Our own records as a delivery tells of them: what was frozen when the change was accepted."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from server.ports import Call
from sync.clock import decode_instant

RECORD, KEY, SHOP = "rientro_record", "rientro_key", "rientro_shop"
"""What we write into the metadata of things we make: our record, the call's idempotency key, the sale's shop."""

TOO_EARLY = 425
"""What is answered where Stripe need not be asked: it is tried again, and says nothing of how Stripe does."""

EARLIER_S = 86_400
"""So much before a change was made nothing can have come of it, however the clocks are set."""


def fields_of(call: Call) -> Mapping[str, Any]:
    """The record's fields."""
    fields: Mapping[str, Any] = json.loads(call.payload)["data"]["fields"]
    return fields


def made_s(call: Call) -> int:
    """Seconds since 1970 before which nothing of this call's can be at Stripe."""
    return decode_instant(json.loads(call.payload)["timestamp"]) // 1000 - EARLIER_S


def marks(call: Call) -> dict[str, str]:
    """The metadata by which what a call makes is found again."""
    return {RECORD: call.record_id, KEY: call.idempotency_key}


def names(call: Call, prefix: str) -> Iterator[str]:
    """Stripe's names for the records a call is about that are of one kind: `cus_`, `pi_`, `sub_`."""
    return (name for _, name in call.names if name.startswith(prefix))


def name(call: Call, prefix: str) -> str | None:
    """The one name of that kind, if there is one."""
    return next(names(call, prefix), None)
