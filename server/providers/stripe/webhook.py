"""Scheme `stripe`: signed events, each a reason to read an object anew.

`Stripe-Signature: t=<seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, several `v1` during a rotation. The SDK checks the
signature; the time we check ourselves, for it would take a signature of the future.
"""

from pydantic_core import from_json

from server.ports import (
    Account,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
    refuse_untimely,
)
from server.providers.stripe.events import PAID, Event, parse_event
from server.providers.stripe.payments import FINAL as PAYMENT_FINAL
from server.providers.stripe.payments import PAYMENT
from server.providers.stripe.reader import Reader
from server.providers.stripe.settings import is_live
from server.providers.stripe.subscriptions import FINAL as SUBSCRIPTION_FINAL
from server.providers.stripe.subscriptions import SUBSCRIPTION

SECRETS = ("webhook_secret", "previous_webhook_secret")
MOST_SIGNATURES = 16


class StripeScheme:
    """What Stripe tells."""

    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset[str]()

    def __init__(self, reader: Reader) -> None:
        """`reader` reads objects anew."""
        self._reader = reader

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time over the raw bytes. Raises WebhookRefusedError."""
        header = received.headers.get("stripe-signature", "")
        signed_at_s = _signed_at_s(header)
        verified_by = _fitting(account, header, received.body)
        if verified_by is None:
            raise WebhookRefusedError("bad_signature")
        refuse_untimely(signed_at_s, received.now_ms)
        try:
            event = parse_event(received.body)
        except UnusableEventError:  # authentic, so it is kept, and quarantined when it is read
            return Recognised(_its_id(received.body), "", None, verified_by)
        about = event.subject
        return Recognised(event.id, event.type, None if about is None else about.name, verified_by, by_id=True)

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The object as it is now. Raises UnusableEventError, OutboundError, a DeliveryError."""
        told = parse_event(event.body)
        about = told.subject
        if about is None or _not_ours(told, event.account) is not None:
            return None
        return await self._reader.read(event.account, about)

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """A payment or a subscription. Raises UnusableEventError."""
        told = parse_event(event.body)
        about, reason = told.subject, _not_ours(told, event.account)
        if reason is not None or about is None:
            return Reading(ignored=reason or "it is about nothing that is kept here")
        if fetched is None or fetched.content is None:
            raise UnusableEventError("no_object", "Stripe has no object under this name.")
        key = f"{event.account.endpoint_id}:{about.id}"
        if about.kind == "payment_intent":
            intent = PAYMENT.parse(fetched.content)
            draft = PAYMENT.draft(intent, event.account, key)
            return Reading([draft._replace(final=intent.status in PAYMENT_FINAL)])
        found = SUBSCRIPTION.parse(fetched.content)
        found = found.model_copy(update={"paid": told.type in PAID})
        draft = SUBSCRIPTION.draft(found, event.account, key)
        return Reading([draft._replace(final=found.status in SUBSCRIPTION_FINAL)])


def _signed_at_s(header: str) -> int:
    """When it says that it was signed. Raises WebhookRefusedError where it is not signed."""
    if not header.isascii():  # nor does the SDK expect it
        raise WebhookRefusedError("unsigned")
    parts = [part.partition("=") for part in header.split(",", MOST_SIGNATURES)]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 11):  # noqa: PLR2004
        raise WebhookRefusedError("unsigned")
    if not any(name == "v1" and value for name, _, value in parts):
        raise WebhookRefusedError("unsigned")
    return int(times[0])


def _fitting(account: Account, header: str, body: bytes) -> str | None:
    """The name of the secret that the signature fits."""
    for name in SECRETS:
        secret = account.secrets.get(name)
        if secret is not None and _fits(header, body, secret):
            return name
    return None


def _fits(header: str, body: bytes, secret: str) -> bool:
    from stripe import SignatureVerificationError, WebhookSignature  # noqa: PLC0415  as `api` says

    try:
        WebhookSignature.verify_header(body, header, secret)
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _its_id(body: bytes) -> str:
    try:
        return str(from_json(body)["id"])
    except (ValueError, TypeError, KeyError):
        return ""


def _not_ours(told: Event, account: Account) -> str | None:
    """Why an event is no business of ours."""
    if told.livemode != is_live(account.secrets["api_key"]):
        return "it is of the other mode (live or test) than this account's key"
    return None if told.subject is not None else "events of this type are no business of ours"
