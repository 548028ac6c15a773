"""A message to a device: Declarative Web Push JSON, and how a push service is to treat it. Pure.

`claude/integrations/webpush.md` holds the exact shape: the service worker reads it. A browser that knows Declarative
Web Push shows it without one.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pydantic_core import to_json

from server.ports import NoticeKind
from server.webpush.texts import Said

MARK = 8030
"""What tells a declarative message from other JSON: RFC 8030's number."""
MOST_BYTES = 3000
"""Of a message: a push service must take 4096 with the encryption's own (RFC 8030, section 7.2)."""

Urgency = Literal["very-low", "low", "normal", "high"]


class Terms(NamedTuple):
    """How a kind is sent: how urgent it is, and for how long it is worth sending."""

    urgency: Urgency
    ttl: timedelta


TERMS: Mapping[NoticeKind, Terms] = {
    "invoice": Terms("normal", timedelta(days=3)),
    "conflict": Terms("normal", timedelta(days=3)),
    "closing": Terms("normal", timedelta(days=3)),
    "died": Terms("high", timedelta(days=1)),
}
PAGES: Mapping[NoticeKind, str] = {
    "invoice": "/invoices",
    "conflict": "/conflicts",
    "closing": "/closures",
    "died": "/status",
}
"""Where the application shows them; one alone is below, by its record's id."""
_ONE_BY_ONE: frozenset[NoticeKind] = frozenset(("invoice", "conflict"))


class Telling(NamedTuple):
    """What is told: the subjects' ids, the words, and what the application's badge shows afterwards."""

    kind: NoticeKind
    subjects: list[str]
    said: Said
    lang: str
    badge: int


def declarative(telling: Telling, public_url: str | None) -> dict[str, Any]:
    """The message. `navigate` is absolute where the server knows its own address."""
    said = telling.said
    page = PAGES[telling.kind]
    if len(telling.subjects) == 1 and telling.kind in _ONE_BY_ONE:
        page += f"/{telling.subjects[0]}"
    notification = {
        "title": said.title,
        "body": said.body,
        "navigate": (public_url or "").rstrip("/") + page,
        "lang": telling.lang,
        "dir": "ltr",
        "tag": _tag(telling),
        "silent": False,
        "data": {"kind": telling.kind, "ids": telling.subjects[:20], "count": len(telling.subjects)},
    }
    message = {"web_push": MARK, "notification": notification, "app_badge": telling.badge, "mutable": True}
    if len(to_json(message)) > MOST_BYTES:
        notification["body"] = ""
    return message


def topic(telling: Telling) -> str:
    """What a push service replaces, of what the device has not fetched yet: 32 characters (RFC 8030, section 5.4).

    A newer word on conflicts, closings or failures replaces the older one; invoices do not replace each other.
    """
    return base64.urlsafe_b64encode(sha256(_tag(telling).encode()).digest()[:24]).decode()


def _tag(telling: Telling) -> str:
    """What a browser replaces on the screen."""
    if telling.kind != "invoice":
        return telling.kind
    return f"invoice-{sha256(' '.join(sorted(telling.subjects)).encode()).hexdigest()[:16]}"
