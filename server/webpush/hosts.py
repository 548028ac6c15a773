"""Which push services a device may name: those of the browsers there are, and those the operator adds.

Whoever is signed in says where messages to them go, so an address is believed only of a known service, by https on its
own port. Loopback is for tests (`RIENTRO_ALLOW_LOOPBACK`); that no name leads to a private address is seen to at each
connection (`server.outbound`).
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from server.auth.errors import AccessError
from server.outbound import OutboundError
from server.outbound.guard import check_url

KNOWN = (
    "fcm.googleapis.com",  # Chrome, Edge on Android, Opera, Brave
    "push.services.mozilla.com",  # Firefox
    "push.apple.com",  # Safari
    "notify.windows.com",  # Edge
)
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Hosts:
    """Says which service an address is of."""

    def __init__(self, more: Sequence[str], *, allow_loopback: bool) -> None:
        """`more`: host names of the operator's."""
        self._known, self._allow_loopback = (*KNOWN, *(host.lower() for host in more)), allow_loopback

    def service_of(self, url: str) -> str:
        """The service's origin. Raises AccessError (bad_push_service)."""
        try:
            check_url(url, allow_loopback=self._allow_loopback)
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except (OutboundError, ValueError):
            raise _refused() from None
        here = host in _LOOPBACK
        if not here and (port not in {None, 443} or not self._is_known(host)):
            raise _refused()
        return f"{parts.scheme}://{parts.netloc.lower()}"

    def _is_known(self, host: str) -> bool:
        return any(host == known or host.endswith(f".{known}") for known in self._known)


def _refused() -> AccessError:
    message = "Messages are sent only to push services this server knows: ask its operator to add yours."
    return AccessError("bad_push_service", message, status=422)
