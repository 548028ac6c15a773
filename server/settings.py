"""Settings: one frozen object, read once; what is secret is masked when shown.

Each setting comes from the environment (`RIENTRO_…`). Those that are secret may come from elsewhere instead, in this
order: the environment, a file of the folder `RIENTRO_SECRETS_DIR` (named `secret_key`, `database_url`: one a file, as
containers mount them), the output of `RIENTRO_SECRET_COMMAND`. The command is run without a shell, once for each secret
not found before, with `{name}` replaced by its name; without `{name}` it gives the master key. Nothing printed means
that there is none; a command that fails stops the start, for a locked password store must not look like an empty one.
"""

import ipaddress
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PREFIX = "RIENTRO_"
_SECRETS = ("secret_key", "database_url", "metrics_token", "alert_secret", "oidc_client_secret")
_ASKED_FOR = ("secret_key", "database_url")
"""What the command is asked for: the others need not be there, and a command that fails stops the start."""
_COMMAND_TIMEOUT_S = 30
_SIGNING_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LONGEST_SECRET = 64 * 1024


class SettingsError(Exception):
    """A secret cannot be had; the message says from where, and quotes nothing of it."""


class Settings(BaseSettings):
    """Everything the environment may say.

    `data` holds the embedded database and the master key. `database_url` names PostgreSQL instead. `secret_key` (64 hex
    digits; several, newest first, while they are rotated) replaces `data/secret.key`. `public_url` is where browsers
    and providers reach this server. `allow_loopback` lets endpoints point at this machine: for demonstrations and
    tests only. `lease_s`: for so long after a worker's death nobody takes over what it had under way; a call to a
    provider ends in half of it. `retention_days`: for so long tombstones, verdicts and values that lost are kept.
    `metrics_token` lets a scraper read `/metrics` from another machine; without it, only this one may. `alert_url` gets
    a message, signed by `alert_secret`, when something wants a person; `alert_after_minutes`: for so long deliveries
    must be failing before they do.
    `second_store`: folder of copies of what nobody can be asked for again, on another disk than the database if there
    is one; `data/second` by itself.
    `providers` names modules with providers beside our own, divided by commas.
    `trusted_proxy`: addresses and networks of proxies, divided by commas; what they say of whom they pass on is
    believed. `cors_origins`: origins, divided by commas, whose pages may call this server; none by default.
    `address_rate`, `device_rate`, `sign_in_rate`: requests a second from one address, with one token, to sign in from
    one address, in the long run; 0 is no limit. `max_connections` are open at once.
    `push_hosts`: host names of push services beside the browsers' own, divided by commas; `push_contact`: whom push
    services may write to, `mailto:…` or an https address.
    `heartbeat_s`: how often an open stream is told where its tenant stands.
    `oidc_issuer`: an OpenID provider whose people sign in here, as `oidc_client_id`; `oidc_audience`: what its access
    tokens must be made for to be bearers here. `oidc_…_claim`: where its tokens say which merchant (none named: the
    only one), role, shop and name somebody has.
    """

    # What was given may be a secret that does not fit: it is not quoted back.
    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, hide_input_in_errors=True)

    data: Path = Path("data")
    database_url: SecretStr | None = None
    second_store: Path | None = None
    secret_key: SecretStr | None = None
    public_url: str | None = None
    allow_loopback: bool = False
    relay: bool = True
    lease_s: float = Field(default=60, ge=2, le=3600)
    retention_days: int = Field(default=90, ge=1, le=36_500)
    providers: str = ""
    push_hosts: str = ""
    push_contact: str | None = None
    heartbeat_s: float = Field(default=20, gt=0, le=29)
    log_level: str = "INFO"
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    alert_url: str | None = None
    alert_secret: SecretStr | None = None
    alert_after_minutes: int = Field(default=15, ge=1, le=1440)
    trusted_proxy: str = ""
    cors_origins: str = ""
    address_rate: float = Field(default=300, ge=0, le=1_000_000)
    device_rate: float = Field(default=50, ge=0, le=1_000_000)
    sign_in_rate: float = Field(default=1, ge=0, le=1_000_000)
    max_connections: int = Field(default=4000, ge=10, le=1_000_000)
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_audience: str | None = None
    oidc_scope: str = "openid profile"
    oidc_tenant_claim: str | None = None
    oidc_role_claim: str = "role"
    oidc_shop_claim: str = "shop"
    oidc_name_claim: str = "name"

    @field_validator("trusted_proxy")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        _networks(text)
        return text

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, text: str) -> str:
        for origin in _parts(text):
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != origin or "*" in origin:
                raise ValueError(f"{origin!r} is no origin: write https://shop.example, with a port where there is one")
        return text

    @field_validator("push_contact")
    @classmethod
    def _can_be_written_to(cls, text: str | None) -> str | None:
        if text is not None and not text.startswith(("mailto:", "https://")):
            raise ValueError("write mailto:somebody@shop.example, or an https:// address")
        return text

    @property
    def push_host_names(self) -> Sequence[str]:
        """The names of `push_hosts`."""
        return _parts(self.push_hosts)

    @property
    def trusted_networks(self) -> Sequence[Network]:
        """The networks of `trusted_proxy`."""
        return _networks(self.trusted_proxy)

    @property
    def allowed_origins(self) -> Sequence[str]:
        """The origins of `cors_origins`."""
        return _parts(self.cors_origins)

    @model_validator(mode="after")
    def _alerts_are_signed(self) -> "Settings":
        if self.alert_url is None:
            return self
        if self.alert_secret is None:
            raise ValueError("RIENTRO_ALERT_URL needs RIENTRO_ALERT_SECRET (whsec_…), which its messages are signed by")
        if not self.alert_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError("RIENTRO_ALERT_URL takes an https:// address")
        if not _SIGNING_SECRET.fullmatch(self.alert_secret.get_secret_value()):
            raise ValueError("RIENTRO_ALERT_SECRET is not of the form whsec_… with base64 after it")
        return self

    @model_validator(mode="after")
    def _people_can_be_sent_there(self) -> "Settings":
        if not self.oidc_issuer:
            return self
        if not self.oidc_issuer.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError("RIENTRO_OIDC_ISSUER takes an https:// address")
        if not self.oidc_client_id or self.public_url is None:
            raise ValueError("RIENTRO_OIDC_ISSUER needs RIENTRO_OIDC_CLIENT_ID, and RIENTRO_PUBLIC_URL to come back to")
        if "openid" not in self.oidc_scope.split():
            raise ValueError("RIENTRO_OIDC_SCOPE must have openid among its words")
        if self.oidc_audience == self.oidc_client_id:
            raise ValueError("RIENTRO_OIDC_AUDIENCE must not be the client's id: every ID token would be a bearer here")
        return self

    @property
    def provider_modules(self) -> list[str]:
        """The modules that `providers` names."""
        return _parts(self.providers)

    @property
    def down_after_ms(self) -> int:
        """After how long a failing account counts as down."""
        return self.alert_after_minutes * 60 * 1000

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # not read, but asked for by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment, then where secrets are kept."""
        return init_settings, env_settings, _Secrets(settings_cls, os.environ)

    @property
    def retention_ms(self) -> int:
        """The same in milliseconds."""
        return self.retention_days * 24 * 60 * 60 * 1000

    def copies(self) -> Path:
        """The folder of the second store."""
        return self.second_store or self.data.resolve() / "second"

    def database(self) -> str:
        """The database's URL; never log it, it may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data.resolve() / 'rientro.db'}"


class _Secrets(PydanticBaseSettingsSource):
    """The folder and the command."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._folder = environment.get(f"{_PREFIX}SECRETS_DIR")
        self._command = environment.get(f"{_PREFIX}SECRET_COMMAND")

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One setting."""
        return self._find(field_name) if field_name in _SECRETS else None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """All that is found, of what no source before gave. Raises SettingsError."""
        found = {name: self._find(name) for name in _SECRETS if self.current_state.get(name) is None}
        return {name: value for name, value in found.items() if value}

    def _find(self, name: str) -> str | None:
        found = _from_folder(Path(self._folder), name) if self._folder else None
        asked = name == "secret_key" or (name in _ASKED_FOR and "{name}" in (self._command or ""))
        if found is None and self._command and asked:
            found = _from_command(self._command, name)
        return found


def _from_folder(folder: Path, name: str) -> str | None:
    if not folder.is_dir():
        raise SettingsError(f"RIENTRO_SECRETS_DIR: there is no folder {folder}")
    try:
        text = (folder / name).read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError):
        raise SettingsError(f"RIENTRO_SECRETS_DIR: {folder / name} cannot be read") from None
    if not text:
        raise SettingsError(f"RIENTRO_SECRETS_DIR: {folder / name} is empty")
    return text


def _from_command(command: str, name: str) -> str | None:
    try:
        words = [word.replace("{name}", name) for word in shlex.split(command)]
        done = subprocess.run(words, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=True)  # noqa: S603
        text = done.stdout[:_LONGEST_SECRET].decode().strip()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        kind = type(error).__name__
        raise SettingsError(f"RIENTRO_SECRET_COMMAND gave no {name} ({kind}): try it by hand") from None
    return text or None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(text: str) -> list[Network]:
    found: list[Network] = []
    for one in _parts(text):
        try:
            found.append(ipaddress.ip_network(one, strict=False))
        except ValueError:
            raise ValueError(f"{one!r} is no address and no network") from None
    return found
