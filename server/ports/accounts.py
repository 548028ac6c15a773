"""Accounts: a tenant's endpoint as its provider sees it, and who opens its secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Secrets(Protocol):
    """Opens what is sealed at rest."""

    def unseal(self, tenant_id: str, provider: str, endpoint_id: str, sealed: str, /) -> dict[str, str]:
        """An endpoint's secrets by name; in memory for one call only."""


@dataclass(frozen=True, slots=True)
class Account:
    """An endpoint as its provider sees it: a tenant's account there. Shown anywhere, it keeps its secrets."""

    tenant_id: str
    endpoint_id: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
