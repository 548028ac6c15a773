"""What a Stripe account needs to be told, and what it says of itself by its key."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator

from server.resilience.limits import Limits
from sync.wire import CODE_PATTERN


class StripeSettings(Limits):
    """An endpoint's settings, its limits among them: Stripe's own is 25 calls a second of a test key.

    `api_key` is a secret (`sk_…`) or, better, a restricted key (`rk_…`); what it must be allowed stands in
    `claude/integrations/stripe.md`. `webhook_secret` (`whsec_…`) verifies; during a rotation
    `previous_webhook_secret` is accepted beside it. `shop` is where payments belong that no sale of ours names.
    `on_unsubscribe` says when a plan that was given up ends. `past_due_entitles`: whether a customer keeps what a late
    payment is for while it is late. `backfill_days`: how far the first poll looks back; Stripe keeps events for 30
    days. `poll_overlap_minutes`: how much of what was read before is read again. `timeout`, in seconds, bounds each
    step of a call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 20
    api_key: SecretStr
    webhook_secret: SecretStr
    previous_webhook_secret: SecretStr | None = None
    shop: Annotated[str, Field(pattern=f"^{CODE_PATTERN}$")]
    base_url: Annotated[str, Field(max_length=2000)] = "https://api.stripe.com"
    on_unsubscribe: Literal["at_period_end", "now"] = "at_period_end"
    past_due_entitles: bool = False
    poll_every_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    poll_overlap_minutes: Annotated[int, Field(ge=0, le=7 * 24 * 60)] = 60
    backfill_days: Annotated[int, Field(ge=0, le=30)] = 7
    timeout: Annotated[int, Field(ge=1, le=60)] = 20
    scheme: Literal["stripe"] = "stripe"

    @field_validator("api_key")
    @classmethod
    def _is_secret(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if not text.startswith(("sk_", "rk_")) or not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("not a secret or restricted key of Stripe's: sk_… or rk_…")
        return key

    @field_validator("webhook_secret", "previous_webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not secret.get_secret_value().startswith("whsec_"):
            raise ValueError("not a webhook signing secret of Stripe's: whsec_…")
        return secret


def is_live(api_key: str) -> bool:
    """Whether a key moves real money."""
    return "_live_" in api_key
