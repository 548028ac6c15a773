"""The core: what every way of running rientro has in common, opened and closed in the right order."""

import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from server.app.access import Means, make_access
from server.app.providers import Kinds, load_kinds, square_kind, webpush_kind
from server.app.webpush import WebPush, make_webpush
from server.audit.listing import Audit
from server.audit.refusals import Refusals
from server.auth.admin import Admin
from server.collections import registry as described
from server.credentials.consents import Consents
from server.credentials.dates import Dates
from server.credentials.endpoints import Endpoints
from server.credentials.keyring import Ring, open_ring
from server.credentials.keys import Keys
from server.credentials.rotation import Rotation
from server.credentials.schedule import EndpointSecrets
from server.credentials.tokens import TokenStore
from server.credentials.vault import Vault
from server.engine.apply import Applier
from server.engine.kept import Kept
from server.engine.records import Records
from server.engine.resend import Resender
from server.engine.tidy import Tidier
from server.ids import uuid7
from server.inbox.copies import Copies
from server.ops.figures import Watch
from server.outbox.collect import Forwarder
from server.ports import Forwarding
from server.privacy.erase import Eraser
from server.privacy.export import Exporter
from server.routes.state import Access
from server.settings import Settings
from server.storage.database import Database
from server.storage.migrate import upgrade
from server.storage.open import open_database
from server.storage.writer import Writer
from server.webpush.notices import Noticing
from sync.protocol import Registry

_RANDOM = random.SystemRandom().random


def now_ms() -> int:
    """Milliseconds since 1970: the process's one clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Core:
    """The server, the relay alone and the command line all stand on this."""

    kinds: Kinds
    database: Database
    registry: Registry
    writer: Writer
    records: Records
    forwarder: Forwarding
    applier: Applier
    kept: Kept
    resender: Resender
    exporter: Exporter
    eraser: Eraser
    audit: Audit
    refusals: Refusals
    vault: Vault
    admin: Admin
    access: Access
    endpoints: Endpoints
    credentials: "Keeping"
    tidier: Tidier
    watch: Watch
    webpush: WebPush
    copies: Copies


@dataclass(frozen=True)
class Keeping:
    """The credentials towards providers: opened, replaced, renewed, watched."""

    secrets: EndpointSecrets
    keys: Keys
    tokens: TokenStore
    consents: Consents
    dates: Dates
    rotation: Rotation


@asynccontextmanager
async def open_core(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Core]:
    """Open the database and its writer, and close them at the end; jobs under way are finished first."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.database())  # connects to nothing yet, but refuses what it does not know
    if migrate:
        await upgrade(settings.database())
    core = _core(settings, database)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(core.writer.run)
            yield core
            tasks.cancel_scope.cancel()
    finally:
        await database.close()


def _core(settings: Settings, database: Database) -> Core:
    secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
    ring = open_ring(settings.data, secret)
    vault = Vault(ring)
    writer = Writer(database, clock=now_ms, nonce=lambda: secrets.token_hex(8))
    registry = described()
    records = Records(registry)
    webpush = make_webpush(settings, database, writer, vault, records, now_ms)
    kinds = load_kinds(settings.provider_modules, square_kind(settings.public_url), webpush_kind(webpush.subscriptions))
    forwarder = Noticing(Forwarder(kinds.routes), webpush.noticed.note)
    applier = Applier(records, forwarder)
    access = make_access(settings.public_url, Means(database, writer, vault, now_ms))
    return Core(
        kinds=kinds,
        database=database,
        registry=registry,
        writer=writer,
        records=records,
        forwarder=forwarder,
        applier=applier,
        kept=Kept(database, records),
        resender=Resender(writer, registry, applier),
        exporter=Exporter(database, writer, records),
        eraser=Eraser(database, writer, records, (applier, forwarder), settings.data),
        audit=Audit(database),
        refusals=Refusals(writer),
        vault=vault,
        admin=access.admin,
        access=access,
        endpoints=Endpoints(database, writer, vault, kinds.forms, kinds.routes, uuid7),
        credentials=_keeping(database, writer, vault, ring, kinds),
        tidier=Tidier(database, writer, records, now_ms, settings.retention_ms),
        watch=Watch(database, now_ms, settings.data),
        webpush=webpush,
        copies=Copies(settings.copies()),
    )


def _keeping(database: Database, writer: Writer, vault: Vault, ring: Callable[[], Ring], kinds: Kinds) -> Keeping:
    opened = EndpointSecrets(vault, now_ms)
    tokens = TokenStore(database, writer, vault, now_ms, _RANDOM)
    return Keeping(
        secrets=opened,
        keys=Keys(writer, vault, kinds.forms, now_ms),
        tokens=tokens,
        consents=Consents(database, writer, vault, opened, tokens),
        dates=Dates(database),
        rotation=Rotation(database, writer, vault, ring),
    )
