"""Web push, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from server.credentials.vault import Vault
from server.engine.records import Records
from server.ids import uuid7
from server.settings import Settings
from server.storage.database import Database
from server.storage.writer import Writer
from server.webpush.hosts import Hosts
from server.webpush.keys import VapidKeys
from server.webpush.notices import Noticed
from server.webpush.notifier import Notifier
from server.webpush.subscriptions import PushSubscriptions
from sync.clock import encode_instant

_NOBODY = "mailto:rientro@localhost"
"""Whom push services may write to where nobody was named; Apple's takes no such address."""


@dataclass(frozen=True)
class WebPush:
    """Keys, subscriptions, notices, and who composes messages of them."""

    keys: VapidKeys
    subscriptions: PushSubscriptions
    noticed: Noticed
    notifier: Notifier


def make_webpush(
    settings: Settings, database: Database, writer: Writer, vault: Vault, records: Records, clock: Callable[[], int]
) -> WebPush:
    """Everything of one process. `clock` gives milliseconds."""
    notifier = Notifier(database, writer, records, settings.public_url, clock)
    hosts = Hosts(settings.push_host_names, allow_loopback=settings.allow_loopback)
    contact = settings.push_contact or _contact(settings.public_url)
    return WebPush(
        keys=VapidKeys(database, writer, vault, uuid7),
        subscriptions=PushSubscriptions(database, writer, vault, hosts, contact, lambda: encode_instant(clock())),
        noticed=Noticed(database, notifier.wake),
        notifier=notifier,
    )


def _contact(public_url: str | None) -> str:
    return public_url if public_url is not None and public_url.startswith("https://") else _NOBODY
