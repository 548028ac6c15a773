"""Sends a message to a device's browser, by way of the push service that the browser named.

An account is a merchant's standing at one push service. What a message says is frozen in its delivery; where it goes
and by which keys is asked at each attempt. A service that knows the subscription no more (404, 410) has it forgotten,
and the delivery ends as answered: nobody has to look after that. A message that is too large (413) is dead at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import Outbound
from server.ports import Account, Answer, Call, Operation, Poller, Subscription, Subscriptions, WebhookScheme
from server.providers.webpush.sealing import ENCODING, encrypt, sign
from server.resilience.errors import AnsweredError, PermanentError
from server.resilience.limits import Limits

_GONE, _TOO_LARGE = frozenset((404, 410)), 413
_SERVER_ERROR = 500


class WebPushSettings(Limits):
    """An account at a push service, made by itself when the first device there subscribes.

    `service` is its origin; `timeout`, in seconds, bounds each step of a call. The limits are far above what a shop
    sends: they are there for the day something goes round in circles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Annotated[str, Field(max_length=300)]
    timeout: Annotated[int, Field(ge=1, le=60)] = 15
    rate: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] | None = 10
    burst: Annotated[int, Field(ge=1, le=1000)] | None = 20
    concurrency: Annotated[int, Field(ge=1, le=100)] | None = 4


class Push(BaseModel):
    """A frozen payload: for whom, how it is to be treated, and the message.

    `person_id`: who was on the device; None for a device of nobody's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_id: str
    person_id: str | None = None
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    urgency: Literal["very-low", "low", "normal", "high"]
    ttl_s: Annotated[int, Field(ge=0, le=28 * 86_400)]
    message: dict[str, Any]


class WebPushProvider:
    """Tells devices."""

    name = "webpush"
    settings = WebPushSettings

    def __init__(self, outbound: Outbound, clock: Callable[[], int], subscriptions: Subscriptions) -> None:
        """`clock` gives milliseconds since 1970."""
        self._outbound, self._clock, self._subscriptions = outbound, clock, subscriptions
        self._operations = {"notify": Operation("repeatable", self._notify)}

    def operations(self) -> Mapping[str, Operation]:
        """`notify`: told twice, a message replaces itself, by its topic and its tag."""
        return self._operations

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """None: a push service tells nothing."""
        return {}

    def pollers(self) -> Mapping[str, Poller]:
        """None."""
        return {}

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """None: nothing comes in."""
        return ()

    async def health(self, account: Account) -> Health:
        """OPTIONS at the service: whether somebody answers there."""
        settings = _settings(account)
        reply = await self._outbound.options(settings.service, settings.timeout, account)
        good = reply.status < _SERVER_ERROR
        said = f"it answers ({reply.status}): whether it takes messages, one of them shows"
        return Health(good, said if good else f"it answers {reply.status}", reply.status)

    async def _notify(self, call: Call) -> Answer:
        settings, push = _settings(call.account), _push(call.payload)
        tenant_id = call.account.tenant_id
        subscription = await self._subscriptions.of(tenant_id, push.device_id)
        if subscription is None or subscription.person_id != push.person_id:  # another is on that device by now
            raise AnsweredError("not_subscribed")
        body = await anyio.to_thread.run_sync(encrypt, to_json(push.message), subscription)
        headers = self._headers(push, subscription)
        reply = await self._outbound.post(subscription.endpoint, body, headers, settings.timeout)
        if reply.status in _GONE:
            await self._subscriptions.gone(tenant_id, push.device_id, subscription.subscription_id)
            raise AnsweredError("subscription_gone")
        if reply.status == _TOO_LARGE:
            raise PermanentError("message_too_large")
        return reply.answer()

    def _headers(self, push: Push, subscription: Subscription) -> dict[str, str]:
        return {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": ENCODING,
            "TTL": str(push.ttl_s),
            "Urgency": push.urgency,
            "Topic": push.topic,
            **sign(subscription, self._clock() // 1000),
        }


def _settings(account: Account) -> WebPushSettings:
    try:
        return WebPushSettings.model_validate(dict(account.settings))
    except ValidationError:
        raise PermanentError("bad_settings") from None


def _push(payload: str) -> Push:
    try:
        return Push.model_validate_json(payload)
    except ValidationError:
        raise PermanentError("bad_payload") from None
