"""Settings: one frozen object, read once from the environment (`RIENTRO_…`); what is secret is masked when shown."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything the environment may say.

    `data` holds the embedded database and the master key. `database_url` names PostgreSQL instead. `secret_key` (64 hex
    digits) replaces `data/secret.key`. `allow_loopback` lets endpoints point at this machine: for demonstrations and
    tests only. `lease_s`: for so long after a worker's death nobody takes over what it had under way; a call to a
    provider ends in half of it. `retention_days`: for so long tombstones, verdicts and values that lost are kept.
    `metrics_token` lets a scraper read `/metrics` from another machine; without it, only this one may. `alert_url` gets
    a message, signed by `alert_secret`, when something wants a person; `alert_after_minutes`: for so long deliveries
    must be failing before they do.
    `heartbeat_s`: how often an open stream is told where its tenant stands.
    """

    model_config = SettingsConfigDict(env_prefix="RIENTRO_", frozen=True)

    data: Path = Path("data")
    database_url: SecretStr | None = None
    secret_key: SecretStr | None = None
    public_url: str | None = None
    allow_loopback: bool = False
    relay: bool = True
    lease_s: float = Field(default=60, ge=2, le=3600)
    retention_days: int = Field(default=90, ge=1, le=36_500)
    heartbeat_s: float = Field(default=20, gt=0, le=29)
    log_level: str = "INFO"
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    alert_url: str | None = None
    alert_secret: SecretStr | None = None
    alert_after_minutes: int = Field(default=15, ge=1, le=1440)

    @model_validator(mode="after")
    def _alerts_are_signed(self) -> "Settings":
        if self.alert_url is not None and self.alert_secret is None:
            raise ValueError("RIENTRO_ALERT_URL needs RIENTRO_ALERT_SECRET (whsec_…), which its messages are signed by")
        return self

    @property
    def down_after_ms(self) -> int:
        """After how long a failing account counts as down."""
        return self.alert_after_minutes * 60 * 1000

    @property
    def retention_ms(self) -> int:
        """The same in milliseconds."""
        return self.retention_days * 24 * 60 * 60 * 1000

    def database(self) -> str:
        """The database's URL; never log it, it may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data.resolve() / 'rientro.db'}"
