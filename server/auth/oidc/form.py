"""The provider of this installation, as the settings have it."""

from typing import NamedTuple

from pydantic import SecretStr

CALLBACK = "/v1/auth/oidc/callback"


class ClaimNames(NamedTuple):
    """Where tokens say who somebody is here; without `tenant`, the only merchant there is."""

    tenant: str | None = None
    role: str = "role"
    shop: str = "shop"
    name: str = "name"


class Provider(NamedTuple):
    """Whom we ask, and as whom. `audience`: what access tokens must be made for; None takes none of them."""

    issuer: str
    client_id: str
    client_secret: SecretStr | None
    redirect_uri: str
    audience: str | None = None
    scope: str = "openid profile"
    names: ClaimNames = ClaimNames()
