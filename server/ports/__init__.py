"""What engine, outbox, inbox and providers share without knowing each other: routes, calls, Protocols."""

from server.ports.accounts import Account, Secrets
from server.ports.engine import Applying, Cause, Collector, Forwarding
from server.ports.inbox import Found, Polled, Poller, Source
from server.ports.observing import Answered, Observing, Unobserved
from server.ports.outbox import Answer, Call, Operation, Promise, Provider
from server.ports.principal import NotPermittedError, Permission, Principal, PrincipalMovedError
from server.ports.routes import DeliveryState, Event, OnDead, Predicate, Route, created_or_updated, nothing_written_back
from server.ports.webhooks import (
    TOLERANCE_S,
    Draft,
    Fetched,
    Ours,
    Reading,
    Received,
    Recognised,
    RefusalReason,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
    WebhookScheme,
    refuse_untimely,
)

__all__ = (
    "TOLERANCE_S",
    "Account",
    "Answer",
    "Answered",
    "Applying",
    "Call",
    "Cause",
    "Collector",
    "DeliveryState",
    "Draft",
    "Event",
    "Fetched",
    "Forwarding",
    "Found",
    "NotPermittedError",
    "Observing",
    "OnDead",
    "Operation",
    "Ours",
    "Permission",
    "Polled",
    "Poller",
    "Predicate",
    "Principal",
    "PrincipalMovedError",
    "Promise",
    "Provider",
    "Reading",
    "Received",
    "Recognised",
    "RefusalReason",
    "Route",
    "SchemeKind",
    "Secrets",
    "Source",
    "Unobserved",
    "UnusableEventError",
    "WebhookEvent",
    "WebhookRefusedError",
    "WebhookScheme",
    "created_or_updated",
    "nothing_written_back",
    "refuse_untimely",
)
