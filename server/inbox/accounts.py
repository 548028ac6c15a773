"""Which account of whose an event came to: the endpoint's row, opened for one use, and the source that knows it.

Secrets are unsealed for the call that needs them and kept nowhere.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from server.ports import Account, Poller, Secrets, Source, WebhookScheme
from server.storage.database import Tx
from server.storage.statement import Statement

_FORM = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})(?:\.([0-9a-f]{32}))?")
_ENDPOINT = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)


class Address(NamedTuple):
    """Where a webhook comes in: it names its tenant, so that no look-up is without one."""

    tenant_id: str
    endpoint_id: str


class Endpoint(NamedTuple):
    """An endpoint as it is stored."""

    provider: str
    settings: str
    sealed: str


class UnknownSchemeError(Exception):
    """The endpoint's provider is not one that tells us things, or not in the way its settings name."""


def parse_address(text: str) -> tuple[Address, str] | None:
    """`<tenant>.<endpoint>` and, of a hint's address, `.<hook>`, each 32 hex digits; None for anything else."""
    found = _FORM.fullmatch(text)
    return (Address(str(UUID(found[1])), str(UUID(found[2]))), found[3] or "") if found else None


async def load_endpoint(tx: Tx, address: Address) -> Endpoint | None:
    """The endpoint of an address, if there is one."""
    rows = await tx.fetch(_ENDPOINT, address)
    return Endpoint(*rows[0]) if rows else None


def open_account(address: Address, endpoint: Endpoint, secrets: Secrets) -> Account:
    """The account with its secrets in hand. Raises what the vault raises when they do not open."""
    opened: dict[str, str] = {}
    if endpoint.sealed:
        opened = secrets.unseal(address.tenant_id, endpoint.provider, address.endpoint_id, endpoint.sealed)
    settings: dict[str, Any] = json.loads(endpoint.settings)
    return Account(address.tenant_id, address.endpoint_id, settings, opened)


def scheme_of(source: Source | None, settings: Mapping[str, Any]) -> WebhookScheme:
    """How this account tells us things. Raises UnknownSchemeError."""
    schemes = {} if source is None else source.webhooks()
    scheme = schemes.get(_name(schemes, settings))
    if scheme is None:
        raise UnknownSchemeError
    return scheme


def poller_of(source: Source, settings: Mapping[str, Any]) -> Poller | None:
    """How to ask this account, if it can be asked."""
    return source.pollers().get(_name(source.webhooks(), settings))


def is_polled(sources: Mapping[str, Source], provider: str, settings: Mapping[str, Any]) -> bool:
    """Whether an endpoint of these settings is polled at all."""
    source = sources.get(provider)
    return source is not None and poller_of(source, settings) is not None


def may_fetch(source: Source, settings: Mapping[str, Any]) -> bool:
    """Whether this account's events may have to be fetched."""
    try:
        return scheme_of(source, settings).fetches
    except UnknownSchemeError:
        return False


def _name(schemes: Mapping[str, WebhookScheme], settings: Mapping[str, Any]) -> str:
    return str(settings.get("scheme") or next(iter(schemes), ""))
