"""Stripe's signature, on the raw bytes: several of them, two live secrets, five minutes either way."""

import json
from typing import Any

import pytest

from server.ports import Account, Received, WebhookRefusedError
from server.providers.stripe import StripeProvider, poller
from server.providers.stripe.events import parse_event
from tests.stripe.house import SECRET
from tests.stripe.signing import signature

NOW_S = 1_764_000_000
EVENT = {"id": "evt_1", "type": "payment_intent.succeeded", "created": NOW_S, "data": {"object": {"id": "pi_1"}}}
BODY = json.dumps(EVENT).encode()
OLD = "whsec_the-one-before-this-one"
ACCOUNT = Account("t", "e", {"shop": "centro"}, {"api_key": "sk_test_1", "webhook_secret": SECRET})
SCHEME = StripeProvider(None, lambda: 0).webhooks()["stripe"]  # type: ignore[arg-type]  # it sends nothing
GOOD = signature(BODY, SECRET, NOW_S)


def verified(header: str | None, body: bytes = BODY, **secrets: str) -> Any:
    """What is recognised."""
    account = Account("t", "e", ACCOUNT.settings, {**ACCOUNT.secrets, **secrets})
    headers = {} if header is None else {"stripe-signature": header}
    return SCHEME.verify(account, Received(headers, body, NOW_S * 1000))


def test_what_stripe_signed_is_known_by_its_id_and_object() -> None:
    """The object is what leases are taken on."""
    assert verified(f"t={NOW_S},v1={GOOD}") == ("evt_1", "payment_intent.succeeded", "payment_intent/pi_1",
                                              "webhook_secret", True)  # fmt: skip


@pytest.mark.parametrize("off_s", [-300, 0, 300])
def test_five_minutes_either_way_are_good(off_s: int) -> None:
    """To the second."""
    at_s = NOW_S + off_s
    assert verified(f"t={at_s},v1={signature(BODY, SECRET, at_s)}").event_id == "evt_1"


@pytest.mark.parametrize(("off_s", "reason"), [(-301, "stale"), (301, "future"), (10**6, "future")])
def test_other_times_are_refused(off_s: int, reason: str) -> None:
    """The SDK itself would take those of the future."""
    at_s = NOW_S + off_s
    with pytest.raises(WebhookRefusedError) as refused:
        verified(f"t={at_s},v1={signature(BODY, SECRET, at_s)}")
    assert refused.value.reason == reason


def test_one_good_signature_of_several_is_enough() -> None:
    """While Stripe rolls a secret it signs with both."""
    other = signature(BODY, "whsec_another", NOW_S)
    assert verified(f"t={NOW_S},v1={other},v1={GOOD},v0=abc").event_id == "evt_1"


def test_two_secrets_are_live_during_a_rotation() -> None:
    """And which one fitted is kept."""
    header = f"t={NOW_S},v1={signature(BODY, OLD, NOW_S)}"
    assert verified(header, previous_webhook_secret=OLD).verified_by == "previous_webhook_secret"
    with pytest.raises(WebhookRefusedError):
        verified(header)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "unsigned"),
        ("", "unsigned"),
        (f"v1={GOOD}", "unsigned"),
        (f"t={NOW_S}", "unsigned"),
        (f"t={NOW_S},v0={GOOD}", "unsigned"),
        (f"t={NOW_S},v1=", "unsigned"),
        (f"t=soon,v1={GOOD}", "unsigned"),
        (f"t=-5,v1={GOOD}", "unsigned"),
        (f"t={'9' * 12},v1={GOOD}", "unsigned"),
        (f"t={NOW_S},t={NOW_S},v1={GOOD}", "unsigned"),
        (f"t={NOW_S},v1={GOOD[:-1]}", "bad_signature"),
        (f"t={NOW_S},v1={'0' * 64}", "bad_signature"),
        (f"t={NOW_S},v1=ü", "unsigned"),
        (f"t={NOW_S + 1},v1={GOOD}", "bad_signature"),
    ],
)
def test_anything_else_is_refused(header: str | None, reason: str) -> None:
    """Never processed, and nobody learns about our clock."""
    with pytest.raises(WebhookRefusedError) as refused:
        verified(header)
    assert refused.value.reason == reason


@pytest.mark.parametrize("body", [BODY + b" ", BODY.replace(b"pi_1", b"pi_2"), b"", b"\xff\xfe"])
def test_another_body_is_refused(body: bytes) -> None:
    """To the byte, whatever it decodes to."""
    with pytest.raises(WebhookRefusedError):
        verified(f"t={NOW_S},v1={GOOD}", body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": "evt_2"}', b"not JSON"])
def test_what_is_authentic_and_unreadable_is_kept(body: bytes) -> None:
    """Quarantined when it is read, never passed over; and there its bodies tell it from others."""
    recognised = verified(f"t={NOW_S},v1={signature(body, SECRET, NOW_S)}", body)
    assert (recognised.event_type, recognised.object_id, recognised.by_id) == ("", None, False)


ABOUT: list[tuple[str, dict[str, Any], str | None]] = [
    ("payment_intent.canceled", {"id": "pi_1"}, "payment_intent/pi_1"),
    ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1"}, "payment_intent/pi_1"),
    ("charge.dispute.closed", {"id": "dp_1", "payment_intent": {"id": "pi_1"}}, "payment_intent/pi_1"),
    ("charge.succeeded", {"id": "ch_1", "payment_intent": None}, None),
    ("customer.subscription.trial_will_end", {"id": "sub_1"}, "subscription/sub_1"),
    ("invoice.paid", {"parent": {"subscription_details": {"subscription": "sub_1"}}}, "subscription/sub_1"),
    ("invoice.payment_failed", {"id": "in_1", "subscription": "sub_1"}, "subscription/sub_1"),
    ("invoice.paid", {"id": "in_1", "subscription": None, "parent": None}, None),
    ("customer.updated", {"id": "cus_1"}, None),
    ("payment_intent.succeeded", {"id": "../pi"}, None),
]


@pytest.mark.parametrize(("event_type", "about", "object_id"), ABOUT)
def test_an_event_names_what_is_to_be_read(event_type: str, about: dict[str, Any], object_id: str | None) -> None:
    """By the names of older and newer versions of the API; a name that is none leads nowhere."""
    body = json.dumps({**EVENT, "type": event_type, "data": {"object": about}}).encode()
    assert verified(f"t={NOW_S},v1={signature(body, SECRET, NOW_S)}", body).object_id == object_id


def test_an_event_of_another_form_is_about_nothing_of_ours() -> None:
    """In some a parent is only a name, and where an object should be there is none."""
    order: dict[str, Any] = {"id": "evt_1", "type": "order.created", "created": NOW_S}
    for told in ({"id": "x", "parent": "sku_1"}, {"id": 7, "parent": {"subscription_details": "x"}}):
        assert parse_event(json.dumps({**order, "data": {"object": told}})).subject is None


def test_what_nobody_can_read_holds_up_no_poll() -> None:
    """It is left out, and named in the log by its id alone."""
    listed = [{"id": "evt_0", "type": 7}, EVENT]
    assert [event.id for one in listed for event in poller._readable(one)] == ["evt_1"]
