"""The provider as it is now: what it says of itself, and its keys; both fetched seldom."""

from collections.abc import Callable, Sequence

from server.auth.oidc.cached import Cached
from server.auth.oidc.claims import Opened, open_token
from server.auth.oidc.discovery import Metadata, discover
from server.auth.oidc.fetching import fetch_document
from server.auth.oidc.form import Provider
from server.auth.oidc.keys import PublicKeys, Published, read_keys
from server.outbound import Outbound


class Source:
    """One provider."""

    def __init__(
        self, provider: Provider, outbound: Outbound, clock: Callable[[], int], *, allow_loopback: bool
    ) -> None:
        """`clock` gives milliseconds; nothing is fetched yet."""
        self.provider, self.outbound, self._allow_loopback = provider, outbound, allow_loopback
        self._metadata = Cached("discovery", self._discover, clock)
        self._keys = PublicKeys(Cached("keys", self._fetch_keys, clock))

    async def metadata(self) -> Metadata:
        """What it says of itself. Raises AccessError (oidc_unavailable)."""
        return await self._metadata.get()

    async def open(self, text: str) -> Opened:
        """A token that it signed. Raises TokenRefusedError, AccessError (oidc_unavailable)."""
        metadata = await self.metadata()
        return await open_token(text, self._keys, metadata.algorithms, self.provider.issuer)

    async def _discover(self) -> Metadata:
        return await discover(self.outbound, self.provider.issuer, allow_loopback=self._allow_loopback)

    async def _fetch_keys(self) -> Sequence[Published]:
        return read_keys(await fetch_document(self.outbound, (await self.metadata()).jwks_uri))
