"""The part of an endpoint's settings that says what its requests prove themselves with; every provider may offer it.

What is a `SecretStr` is sealed at rest. Everything is checked when the endpoint is made, not when the first sale goes
out. `CREDENTIALS` are the names a provider need not know.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from server.outbound.signing import SigningKeyError, load_signing_key
from server.outbound.tls import CertificateError, parse_identity, parse_roots
from server.ports import Account

Grant = Literal["authorization_code", "client_credentials"]
_Url = Annotated[str, Field(max_length=2000)]
_Token = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")]


class Credentials(BaseModel):
    """How requests of an endpoint prove themselves.

    `oauth_…`: a bearer token by OAuth 2.0; `oauth_client_auth` is how the client shows its own secret, `oauth_issuer`
    what the provider must name itself in its answer (RFC 9207). `api_key` goes into `api_key_header`; in
    `Authorization` it stands behind `Bearer`. `client_certificate` is PEM: the private key and the chain;
    `trusted_roots` is PEM too and replaces the public authorities for this endpoint. `signing_key` (PEM: Ed25519,
    ECDSA P-256 or RSA from 2048 bits) signs each request after RFC 9421, under the name `signing_key_id`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    oauth_grant: Grant | None = None
    oauth_authorize_url: _Url | None = None
    oauth_token_url: _Url | None = None
    oauth_client_id: Annotated[str, Field(max_length=500)] | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    oauth_scope: Annotated[str, Field(max_length=1000)] | None = None
    oauth_issuer: _Url | None = None
    api_key: SecretStr | None = None
    api_key_header: _Token = "Authorization"
    client_certificate: SecretStr | None = None
    trusted_roots: Annotated[str, Field(max_length=100_000)] | None = None
    signing_key: SecretStr | None = None
    signing_key_id: Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,200}$")] | None = None

    @field_validator("api_key")
    @classmethod
    def _fits_into_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = "x" if key is None else key.get_secret_value()
        if not (text and text.isascii() and text.isprintable() and text == text.strip()):
            raise ValueError("an API key is printable ASCII, without spaces around it")
        return key

    @field_validator("client_certificate")
    @classmethod
    def _has_key_and_chain(cls, pem: SecretStr | None) -> SecretStr | None:
        try:
            if pem is not None:
                parse_identity(pem.get_secret_value())
        except CertificateError as error:
            raise ValueError(str(error)) from None
        return pem

    @field_validator("trusted_roots")
    @classmethod
    def _are_certificates(cls, pem: str | None) -> str | None:
        try:
            if pem is not None:
                parse_roots(pem)
        except CertificateError as error:
            raise ValueError(str(error)) from None
        return pem

    @field_validator("signing_key")
    @classmethod
    def _can_sign(cls, pem: SecretStr | None) -> SecretStr | None:
        try:
            if pem is not None:
                load_signing_key(pem.get_secret_value())
        except SigningKeyError as error:
            raise ValueError(str(error)) from None
        return pem

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.oauth_grant is not None and (self.oauth_token_url is None or self.oauth_client_id is None):
            raise ValueError("oauth_grant needs oauth_token_url and oauth_client_id")
        if self.oauth_grant == "authorization_code" and self.oauth_authorize_url is None:
            raise ValueError("authorization_code needs oauth_authorize_url")
        if self.oauth_grant == "client_credentials" and self.oauth_client_secret is None:
            raise ValueError("client_credentials needs oauth_client_secret")
        if self.oauth_grant and self.api_key and self.api_key_header.lower() == "authorization":
            raise ValueError("one of oauth_grant and api_key goes into the header Authorization, not both")
        if (self.signing_key is None) != (self.signing_key_id is None):
            raise ValueError("signing_key and signing_key_id go together")
        return self


CREDENTIALS = frozenset(Credentials.model_fields)
NONE = Credentials()


def credentials_of(account: Account) -> Credentials:
    """The credentials of an account; kept nowhere. Raises pydantic's ValidationError where they do not fit."""
    everything: Mapping[str, Any] = {**account.settings, **account.secrets}
    given = {name: value for name, value in everything.items() if name in CREDENTIALS}
    return Credentials.model_validate(given) if given else NONE
