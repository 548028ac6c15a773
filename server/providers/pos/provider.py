"""Points of sale: what an endpoint of theirs needs to know, and the ways they tell us things."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Operation, Poller, WebhookScheme
from server.providers.pos.closing import CLOSURE
from server.providers.pos.mapping import SALE
from server.providers.pos.standard import StandardScheme
from sync.wire import CODE_PATTERN


class PosSettings(BaseModel):
    """An endpoint's settings.

    `shop` is where its sales belong. `secret` is in Standard Webhooks' own form, `whsec_` and base64; during a rotation
    `previous_secret` is accepted beside it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shop: Annotated[str, Field(pattern=f"^{CODE_PATTERN}$")]
    secret: SecretStr
    previous_secret: SecretStr | None = None
    scheme: Literal["standard"] = "standard"

    @field_validator("secret", "previous_secret")
    @classmethod
    def _is_usable(cls, secret: SecretStr | None) -> SecretStr | None:
        try:
            if secret is not None:
                Webhook(secret.get_secret_value())
        except (ValueError, RuntimeError, EmptyWebhookSecretError):
            raise ValueError("not a Standard Webhooks secret: whsec_ and base64") from None
        return secret


class PosProvider:
    """A point of sale."""

    name = "pos"
    settings = PosSettings

    def __init__(self, _outbound: Outbound, _clock: Callable[[], int]) -> None:
        """It needs nothing of the process: it is told, and asks nobody."""
        self._schemes: dict[str, WebhookScheme] = {"standard": StandardScheme()}

    def operations(self) -> Mapping[str, Operation]:
        """None yet: nothing goes out to a point of sale."""
        return {}

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`standard`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """None: a generic point of sale cannot be asked."""
        return {}

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """A sale, and a closing."""
        return (SALE, CLOSURE)

    async def health(self, _account: Account) -> Health:
        """Nobody is asked."""
        return Health(
            good=True, said="a point of sale tells us and cannot be asked: its webhooks show whether it works"
        )
