"""The message that tells alerts, signed as the Standard Webhooks specification says; and what it may hold."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json
from standardwebhooks import Webhook

from server.ids import derived
from server.ops.accounts import Account
from server.ops.alarms import NOBODY
from server.ops.alerts.rows import Alert
from sync.clock import encode_instant

_SAYS = {
    "failing": "Deliveries to this account, or polls of it, have been failing for {value} minutes.",
    "stuck": "{value} deliveries or events of this account wait for a person: `rientro outbox list`, `inbox list`.",
    "silent": "Nothing was heard of this account for {value} hours.",
    "closing": "{value} closings or receipt numbers do not agree with the sales that arrived: `rientro closures list`.",
    "alarm": "The server logged an alarm, {value} times by now: search its log for the event.",
}


_SUBJECTS = {"alarm": "event", "closing": "subject"}
"""What an alert's subject is called; an account's id where nothing is said."""


class Message(NamedTuple):
    """Bytes to post, and the headers that sign them."""

    body: bytes
    headers: dict[str, str]


def message(alerts: Sequence[Alert], accounts: Sequence[Account], secret: str, now_ms: int) -> Message:
    """One message for all of them. Its id follows from what it tells, so that sent again it is known."""
    known = {account.endpoint_id: account for account in accounts}
    told = [_told(alert, known.get(alert.subject)) for alert in alerts]
    document = {"type": "rientro.alerts", "timestamp": encode_instant(now_ms), "data": {"alerts": told}}
    body = to_json(document)
    key = derived("alerts", *(f"{a.tenant_id} {a.kind} {a.subject} {a.since} {a.told}" for a in alerts))
    at = datetime.fromtimestamp(now_ms // 1000, UTC)
    return Message(
        body,
        {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(key, at, body.decode()),
        },
    )


def _told(alert: Alert, account: Account | None) -> dict[str, Any]:
    subject = {_SUBJECTS.get(alert.kind, "endpoint_id"): alert.subject}
    why: dict[str, Any] = {}
    if account is not None:
        why = {"provider": account.provider, "error_class": account.error_class, "error": account.error}
    return {
        "kind": alert.kind,
        "tenant_id": None if alert.tenant_id == NOBODY else alert.tenant_id,
        **subject,
        **why,
        "since": alert.since,
        "value": alert.value,
        "told_before": alert.told,
        "text": _SAYS[alert.kind].format(value=alert.value),
    }
