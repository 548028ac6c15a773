"""The OpenID provider of the settings, put together: signing in by it, and its bearers."""

from collections.abc import Mapping

from server.app.core import Core, now_ms
from server.auth.oidc.bearers import Bearers, Means
from server.auth.oidc.form import CALLBACK, ClaimNames, Provider
from server.auth.oidc.mapping import Mapper
from server.auth.oidc.people import ProviderPeople
from server.auth.oidc.proofs import DeviceProofs
from server.auth.oidc.sign_in import Doors, OidcSignIn
from server.auth.oidc.source import Source
from server.auth.tokens import RefreshTokens
from server.credentials.vault import REFRESH, SealedError, Vault
from server.outbound import Outbound
from server.settings import Settings


def open_oidc(core: Core, outbound: Outbound, settings: Settings) -> OidcSignIn | None:
    """Sign-in by the provider, and its bearers let in by the guard; None where there is no provider."""
    provider = _provider(settings)
    if provider is None:
        return None
    access, database, writer = core.access, core.database, core.writer
    source = Source(provider, outbound, now_ms, allow_loopback=settings.allow_loopback)
    mapper = Mapper(database, access.admin, provider.names)
    people = ProviderPeople(database, writer, access.people, access.sessions, provider.issuer)
    access.guard.admit_with(Bearers(source, Means(database, writer, access.admin, mapper, people), now_ms))
    proofs = DeviceProofs(database, RefreshTokens(lambda: core.vault.derive(REFRESH)), now_ms)
    doors = Doors(writer, mapper, people, access.entrance, proofs)
    return OidcSignIn(source, doors, _Sealing(core.vault), now_ms)


def _provider(settings: Settings) -> Provider | None:
    if not settings.oidc_issuer or settings.oidc_client_id is None or settings.public_url is None:
        return None
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        redirect_uri=settings.public_url.rstrip("/") + CALLBACK,
        audience=settings.oidc_audience,
        scope=settings.oidc_scope,
        names=ClaimNames(
            tenant=settings.oidc_tenant_claim,
            role=settings.oidc_role_claim,
            shop=settings.oidc_shop_claim,
            name=settings.oidc_name_claim,
        ),
    )


class _Sealing:
    """The vault, for what a browser keeps: it belongs to no merchant yet."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, name: str, values: Mapping[str, str]) -> str:
        return self._vault.seal("", "oidc sign-in", name, values)

    def open(self, name: str, sealed: str) -> Mapping[str, str] | None:
        try:
            return self._vault.unseal("", "oidc sign-in", name, sealed)
        except SealedError:
            return None
