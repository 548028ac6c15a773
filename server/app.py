"""The composition root: settings become an application. The only module that names concrete adapters."""

import random
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from asgi_correlation_id import CorrelationIdMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware

from server.auth.admin import Admin
from server.auth.devices import Devices
from server.collections import registry as described
from server.collections import routes
from server.credentials.endpoints import Endpoints
from server.credentials.vault import Vault, open_vault
from server.engine.apply import Applier
from server.engine.exchange import Exchange
from server.engine.live import Pokes
from server.engine.pull import Puller
from server.engine.push import Pusher
from server.engine.records import Records
from server.ids import uuid7
from server.middleware.access import AccessLog
from server.outbound import Outbound, open_outbound
from server.outbox.collect import Forwarder
from server.outbox.relay import Relay, RelayOptions
from server.ports import Provider
from server.providers.http.provider import HttpProvider
from server.routes.api import operations
from server.routes.openapi import openapi, starlette_routes
from server.routes.problem import HANDLERS
from server.routes.state import Services, State
from server.settings import Settings
from server.storage.database import Database
from server.storage.migrate import upgrade
from server.storage.open import open_database
from server.storage.writer import Writer
from sync.cursor import CursorKeys
from sync.protocol import Registry

_CORRELATION_ID = re.compile(r"[A-Za-z0-9-]{8,64}")

PROVIDERS = {HttpProvider.name: HttpProvider}
"""Every provider there is: a new one is a folder and an entry here."""

_FORMS = {name: provider.settings for name, provider in PROVIDERS.items()}


def now_ms() -> int:
    """Milliseconds since 1970: the process's one clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Core:
    """What every way of running rientro has in common: the server, the relay alone, the command line."""

    database: Database
    registry: Registry
    writer: Writer
    records: Records
    forwarder: Forwarder
    applier: Applier
    vault: Vault
    admin: Admin
    endpoints: Endpoints


@asynccontextmanager
async def open_core(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Core]:
    """Open the database and its writer, and close them at the end; jobs under way are finished first."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if migrate:
        await upgrade(settings.database())
    secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
    database = open_database(settings.database())
    writer = Writer(database, clock=now_ms, nonce=lambda: secrets.token_hex(8))
    registry = described()
    records, forwarder = Records(registry), Forwarder(routes())
    vault = open_vault(settings.data, secret)
    core = Core(
        database=database,
        registry=registry,
        writer=writer,
        records=records,
        forwarder=forwarder,
        applier=Applier(records, forwarder),
        vault=vault,
        admin=Admin(database, writer, uuid7),
        endpoints=Endpoints(database, writer, vault, _FORMS, routes(), uuid7),
    )
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            yield core
            tasks.cancel_scope.cancel()
    finally:
        await database.close()


def create_app(settings: Settings, *, migrate: bool = True) -> Starlette:
    """The application; everything is opened in its lifespan."""
    api = operations(described())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with (
            open_core(settings, migrate=migrate) as core,
            open_outbound(allow_loopback=settings.allow_loopback) as outbound,
        ):
            services = _services(core, openapi(api))
            relay = _relay(core, _providers(outbound), watch=False) if settings.relay else None
            async with _in_the_background(core, services.pokes, relay):
                yield State(services=services)

    return Starlette(
        routes=starlette_routes(api),
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[
            Middleware(CorrelationIdMiddleware, generator=_new_correlation_id, validator=_is_correlation_id),
            Middleware(AccessLog),
        ],
    )


@asynccontextmanager
async def _in_the_background(core: Core, pokes: Pokes, relay: Relay | None) -> AsyncIterator[None]:
    """What goes on beside the requests: pokes at every commit, here and elsewhere, and the relay."""

    def changed(tenant_id: str | None) -> None:
        pokes.poke(tenant_id)
        if relay is not None:
            relay.wake()

    core.writer.committed.append(pokes.poke)
    async with anyio.create_task_group() as watching:
        watching.start_soon(core.database.watch, changed)
        async with anyio.create_task_group() as relaying:
            if relay is not None:
                relaying.start_soon(relay.run)
            yield
            if relay is not None:
                relay.stop()
        watching.cancel_scope.cancel()


async def run_relay(settings: Settings) -> None:
    """Forward what waits until interrupted; calls under way are given a moment to end."""
    async with open_core(settings) as core, open_outbound(allow_loopback=settings.allow_loopback) as outbound:
        relay = _relay(core, _providers(outbound), watch=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relay.run)
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break
            relay.stop()


def _providers(outbound: Outbound) -> list[Provider]:
    return [make(outbound, now_ms) for make in PROVIDERS.values()]


def _relay(core: Core, providers: Sequence[Provider], *, watch: bool) -> Relay:
    return Relay(
        database=core.database,
        writer=core.writer,
        routes=routes(),
        providers=providers,
        secrets=core.vault,
        applying=core.applier,
        owner=uuid7(),
        clock=now_ms,
        random=random.SystemRandom().random,
        options=RelayOptions(watch=watch),
    )


def _services(core: Core, document: Mapping[str, Any]) -> Services:
    keys = CursorKeys(core.vault.derive("cursors"))
    puller = Puller(core.database, core.records, keys)
    pusher = Pusher(core.writer, core.records, core.forwarder)
    return Services(
        database=core.database,
        registry=core.registry,
        devices=Devices(core.database, now_ms),
        exchange=Exchange(core.registry, pusher, puller, now_ms),
        pokes=Pokes(puller.head),
        openapi=document,
    )


def _new_correlation_id() -> str:
    return secrets.token_hex(16)


def _is_correlation_id(text: str) -> bool:
    """Whether a caller's own id can go into logs and tables as it stands."""
    return _CORRELATION_ID.fullmatch(text) is not None
