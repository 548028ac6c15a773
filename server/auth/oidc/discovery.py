"""Discovery: where the provider's endpoints are, and what it signs with (OpenID Connect Discovery 1.0).

Rules:

1. The document must name the very issuer it was asked of: else whoever serves one tells us where to send people.
2. Every address of it is one that we may call.
3. Algorithms are those of our own list that the provider announces: no symmetric one, and never none.
4. A provider that says how it does PKCE, and does no S256, is refused.
"""

from typing import Any, NamedTuple

from server.auth.oidc.fetching import FetchError, fetch_document
from server.outbound import Outbound, OutboundError, check_url

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
_WELL_KNOWN = "/.well-known/openid-configuration"


class Metadata(NamedTuple):
    """What a provider says of itself. `sends_issuer`: its answers name it (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    algorithms: tuple[str, ...]
    auth_methods: tuple[str, ...]
    sends_issuer: bool


async def discover(outbound: Outbound, issuer: str, *, allow_loopback: bool) -> Metadata:
    """Ask an issuer. Raises FetchError."""
    document = await fetch_document(outbound, issuer.rstrip("/") + _WELL_KNOWN)
    return read_metadata(document, issuer, allow_loopback=allow_loopback)


def read_metadata(document: dict[str, Any], issuer: str, *, allow_loopback: bool) -> Metadata:
    """What the document says. Raises FetchError (another_issuer, no_endpoint, no_algorithm, no_pkce)."""
    if document.get("issuer") != issuer:
        raise FetchError("another_issuer")
    challenges = document.get("code_challenge_methods_supported")
    if challenges is not None and "S256" not in _texts(challenges):
        raise FetchError("no_pkce")
    announced = _texts(document.get("id_token_signing_alg_values_supported"))
    algorithms = tuple(name for name in ALGORITHMS if name in announced)
    if not algorithms:
        raise FetchError("no_algorithm")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    authorization, token, keys = [_endpoint(document.get(name), allow_loopback=allow_loopback) for name in names]
    return Metadata(
        authorization_endpoint=authorization,
        token_endpoint=token,
        jwks_uri=keys,
        algorithms=algorithms,
        auth_methods=_texts(document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(value: Any, *, allow_loopback: bool) -> str:
    if not isinstance(value, str):
        raise FetchError("no_endpoint")
    try:
        check_url(value, allow_loopback=allow_loopback)
    except OutboundError as error:
        raise FetchError(error.reason) from None
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
