"""POSTs the frozen payload to an endpoint of the tenant's, signed as the Standard Webhooks specification says.

`webhook-id` is the idempotency key: the same at every attempt, so that a receiver which follows the specification has
one effect; `Idempotency-Key` repeats it for those who know that header. Body and key never change; the signature does,
for it covers the time of sending. An answer may name what was made: `{"reference": "…"}`. What becomes of that
later the other side may tell, by the scheme that the endpoint's settings name.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import MAX_ANSWER_BYTES, Credentials, Outbound, Reply
from server.ports import Account, Answer, Call, Operation, Poller, WebhookScheme
from server.providers.http.health import judge
from server.providers.http.schemes import HintScheme, SignedScheme
from server.providers.http.told import OBJECT
from server.resilience.errors import PermanentError
from server.resilience.limits import Limits

_HOOK = re.compile(r"[0-9a-f]{32}")
_REQUEST_ID_HEADERS = ("x-request-id", "request-id")


class HttpSettings(Limits, Credentials):
    """An endpoint's settings, its limits and credentials among them.

    `secret` is in Standard Webhooks' own form, `whsec_` and base64; during a rotation both sign, divided by a space.
    `timeout`, in seconds, bounds each step of a call. Credentials beside that signature are `server.outbound`'s.
    `scheme` says how the other side tells us of what it made, if it does. Where it sends hints, an object is fetched
    below `objects_url`, and the address they come to ends in `hook`, which is made up where none is given.
    `health_url` is asked (GET, with the credentials) when somebody tries the account; a 2xx means that it works.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, Field(max_length=2000)]
    secret: Annotated[SecretStr, Field(json_schema_extra={"overlap": True})]
    timeout: Annotated[int, Field(ge=1, le=60)] = 15
    scheme: Literal["standard", "hint"] | None = None
    objects_url: Annotated[str, Field(max_length=2000)] | None = None
    hook: SecretStr | None = None
    health_url: Annotated[str, Field(max_length=2000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _make_up_a_hook(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("scheme") == "hint" and not values.get("hook"):
            return {**values, "hook": secrets.token_hex(16)}
        return values

    @field_validator("hook")
    @classmethod
    def _fits_an_address(cls, hook: SecretStr | None) -> SecretStr | None:
        if hook is not None and not _HOOK.fullmatch(hook.get_secret_value()):
            raise ValueError("a hook is 32 hex digits in lower case")
        return hook

    @model_validator(mode="after")
    def _can_fetch(self) -> "HttpSettings":
        if self.scheme == "hint" and self.objects_url is None:
            raise ValueError("hints need objects_url: what they name is fetched there")
        return self

    @field_validator("secret")
    @classmethod
    def _is_usable(cls, secret: SecretStr) -> SecretStr:
        try:
            for one in secret.get_secret_value().split() or [""]:
                Webhook(one)
        except (ValueError, RuntimeError, EmptyWebhookSecretError):
            raise ValueError("not a Standard Webhooks secret: whsec_ and base64") from None
        return secret


class HttpProvider:
    """Delivers to any HTTP endpoint, and hears what became of it."""

    name = "http"
    settings = HttpSettings

    def __init__(self, outbound: Outbound, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds since 1970."""
        self._outbound, self._clock = outbound, clock
        self._operations = {"post": Operation("keyed", self._post)}
        self._schemes: dict[str, WebhookScheme] = {"standard": SignedScheme(), "hint": HintScheme(outbound)}

    def operations(self) -> Mapping[str, Operation]:
        """`post`: the receiver honours the key."""
        return self._operations

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`standard` and `hint`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """None: a generic endpoint cannot be asked for what is new."""
        return {}

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """What is told of an object."""
        return (OBJECT,)

    async def health(self, account: Account) -> Health:
        """GET `health_url`, or OPTIONS where deliveries go: neither is signed, and neither makes anything."""
        settings = _settings(account)
        if settings.health_url is None:
            return judge(await self._outbound.options(settings.url, settings.timeout, account), declared=False)
        reply = await self._outbound.get(settings.health_url, {}, settings.timeout, MAX_ANSWER_BYTES, account)
        return judge(reply, declared=True)

    async def _post(self, call: Call) -> Answer:
        settings = _settings(call.account)
        headers = self._headers(call, settings)
        reply = await self._outbound.post(settings.url, call.payload.encode(), headers, settings.timeout, call.account)
        return _answer(reply)

    def _headers(self, call: Call, settings: HttpSettings) -> dict[str, str]:
        sent_at = datetime.fromtimestamp(self._clock() // 1000, UTC)
        signatures = [
            Webhook(secret).sign(call.idempotency_key, sent_at, call.payload)
            for secret in settings.secret.get_secret_value().split()
        ]
        return {
            "Content-Type": "application/json",
            "webhook-id": call.idempotency_key,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": " ".join(signatures),
            "Idempotency-Key": call.idempotency_key,
            "X-Request-ID": call.correlation_id,
        }


def _settings(account: Account) -> HttpSettings:
    try:
        return HttpSettings.model_validate({**account.settings, **account.secrets})
    except ValidationError:
        raise PermanentError("bad_settings") from None


def _answer(reply: Reply) -> Answer:
    request_id = next((reply.headers[name] for name in _REQUEST_ID_HEADERS if name in reply.headers), None)
    return reply.answer(_reference(reply.body), request_id)


def _reference(body: bytes | None) -> str | None:
    """The receiver's name for what it made, where it gave one."""
    try:
        document: Any = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    reference = document.get("reference") if isinstance(document, dict) else None
    return reference if isinstance(reference, str) else None
