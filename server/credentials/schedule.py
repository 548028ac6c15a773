"""Secrets with a future: beside the present one its successor is sealed, under `name@instant`, and takes over then.

Whoever opens an endpoint's secrets for use is given those of that moment; nothing runs at the switch, and nothing need
be restarted.
"""

from collections.abc import Callable, Mapping

from server.credentials.vault import Vault
from sync.clock import encode_instant

_AT = "@"


def present(values: Mapping[str, str], now: str) -> dict[str, str]:
    """The secrets in force."""
    chosen = {name: value for name, value in values.items() if _AT not in name}
    for name, value in sorted(values.items(), key=lambda item: item[0].partition(_AT)[2]):
        plain, _, instant = name.partition(_AT)
        if instant and instant <= now:
            chosen[plain] = value
    return chosen


def planned(values: Mapping[str, str], changes: Mapping[str, str], instant: str, now: str) -> dict[str, str]:
    """The same secrets with `changes` in force from `instant` on, in place of what was planned for them before."""
    kept = present(values, now)
    later = {name: value for name, value in values.items() if _AT in name and name.partition(_AT)[2] > now}
    later = {name: value for name, value in later.items() if name.partition(_AT)[0] not in changes}
    if instant <= now:
        return {**kept, **changes, **later}
    return {**kept, **later, **{f"{name}{_AT}{instant}": value for name, value in changes.items()}}


class EndpointSecrets:
    """Opens endpoints' secrets, as relay, inbox and routes use them."""

    def __init__(self, vault: Vault, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds since 1970."""
        self._vault, self._clock = vault, clock

    def unseal(self, tenant_id: str, provider: str, endpoint_id: str, sealed: str, /) -> dict[str, str]:
        """The secrets in force now. Raises SealedError."""
        return present(self._vault.unseal(tenant_id, provider, endpoint_id, sealed), encode_instant(self._clock()))
