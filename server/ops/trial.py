"""Trying an account: step by step from what is stored to an answer of the other side, in words for people.

It asks now and writes nothing, here or there. What traffic has shown is told by `server.ops.integrations`, which asks
nobody. Each step but the first is taken only where the one before was good.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import anyio
import structlog
from pydantic import ValidationError

from server.adapter import Adapter, Health
from server.mapping import reasons
from server.outbound import OutboundError
from server.ports import Account, Secrets
from server.resilience.errors import DeliveryError
from server.storage.database import Database, Tx
from server.storage.statement import Statement

log: structlog.stdlib.BoundLogger = structlog.get_logger()

DEADLINE_S = 30

_ENDPOINT = Statement(
    """SELECT provider, settings, sealed, paused FROM endpoints
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""
)
_CALL = ("credentials", "address", "connection", "answer")
_WHERE_IT_ENDS: Mapping[str, tuple[str, str]] = {
    "bad_url": ("address", "it is no address"),
    "insecure_url": ("address", "it is not HTTPS"),
    "not_sent": ("connection", "it was only looked at, and not sent"),
    "private_address": ("address", "it leads to this machine or into a private network"),
    "unsendable": ("credentials", "a certificate, key or root cannot be used: see `provider key set`"),
    "unresolved": ("connection", "nobody knows this name: is it spelled right, does DNS work here?"),
    "connect": ("connection", "nobody takes the connection"),
    "connect_timeout": ("connection", "nobody answers: a firewall, or the machine is off"),
    "pool_timeout": ("connection", "no connection was free in time"),
    "tls": ("connection", "its certificate is not one we trust for this name, or no TLS is spoken there"),
    "certificate_refused": ("connection", "it refuses our client certificate"),
    "write": ("answer", "the connection broke while we asked"),
    "read": ("answer", "the connection broke before an answer"),
    "read_timeout": ("answer", "it took the question and gave no answer in time"),
}
"""Which step a request that brought no answer failed at, and what to say of it; the words are `server.outbound`'s."""

_GOOD = {
    "credentials": "they can be sent",
    "address": "it may be connected to",
    "connection": "somebody takes it; where it is HTTPS, the certificate is good",
}


class Step(NamedTuple):
    """One step of a trial."""

    step: str
    good: bool
    said: str


class Place(NamedTuple):
    """An account by its ids."""

    tenant_id: str
    endpoint_id: str


async def try_account(database: Database, place: Place, adapters: Sequence[Adapter], secrets: Secrets) -> list[Step]:
    """The steps up to the first that fails; none where there is no such account. Raises DatabaseError."""

    async def work(tx: Tx) -> list[tuple[str, str, str, bool]]:
        return [(row[0], row[1], row[2], bool(row[3])) for row in await tx.fetch(_ENDPOINT, place)]

    for provider, settings, sealed, paused in await database.read(work):
        adapter = next((one for one in adapters if one.name == provider), None)
        said = f"an account at {provider}" + (", paused: nothing is sent there now" if paused else "")
        steps = [Step("account", adapter is not None, said if adapter else f"this server has no provider {provider}")]
        if adapter is not None:
            steps += await _from_secrets(adapter, place, (settings, sealed), secrets)
        return steps
    return []


async def _from_secrets(adapter: Adapter, place: Place, stored: tuple[str, str], secrets: Secrets) -> list[Step]:
    settings, sealed = stored
    try:
        opened = secrets.unseal(place.tenant_id, adapter.name, place.endpoint_id, sealed) if sealed else {}
    except Exception:  # noqa: BLE001  # whatever the vault says, it comes to this
        return [Step("secrets", good=False, said="they do not open: this is not the master key that sealed them")]
    steps = [Step("secrets", good=True, said=", ".join(sorted(opened)) or "it has none")]
    account = Account(*place, json.loads(settings), opened)
    try:
        adapter.settings.model_validate({**account.settings, **opened})
    except ValidationError as error:
        return [*steps, Step("settings", good=False, said=reasons(error))]
    return [*steps, Step("settings", good=True, said="they fit"), *await _ask(adapter, account)]


async def _ask(adapter: Adapter, account: Account) -> list[Step]:
    try:
        with anyio.fail_after(DEADLINE_S):
            health = await adapter.health(account)
    except OutboundError as error:
        return _up_to(*_WHERE_IT_ENDS.get(error.reason, ("answer", error.reason)))
    except DeliveryError as error:
        return [Step("token", good=False, said=f"it cannot be asked: {error.code}")]
    except TimeoutError:
        return _up_to("answer", f"there was none within {DEADLINE_S} s")
    except Exception:
        log.exception("health_raised", provider=adapter.name, endpoint_id=account.endpoint_id)
        return [Step("answer", good=False, said="the provider's own code failed: see the log")]
    return _answered(health)


def _answered(health: Health) -> list[Step]:
    if health.status is None:  # nobody was asked
        return [Step("answer", health.good, health.said)]
    return [*(Step(step, good=True, said=_GOOD[step]) for step in _CALL[:-1]), Step("answer", health.good, health.said)]


def _up_to(failed: str, said: str) -> list[Step]:
    before = _CALL[: _CALL.index(failed)]
    return [*(Step(step, good=True, said=_GOOD[step]) for step in before), Step(failed, good=False, said=said)]
