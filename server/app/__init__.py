"""The composition root: settings become an application, or a process that only forwards."""

import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.adapter import Adapter
from server.app.core import Core, now_ms, open_core
from server.app.edge import Application, edge_middleware
from server.app.oidc import open_oidc
from server.app.outside import open_outside
from server.app.tidying import forget_again
from server.app.workers import Workers, alerting, watching
from server.collections import OLDEST_SCHEMA
from server.collections import registry as described
from server.credentials.vault import CURSORS
from server.engine.documents import Documents
from server.engine.exchange import Exchange
from server.engine.history import History
from server.engine.live import Pokes, standings
from server.engine.pull import Puller
from server.engine.push import Pusher
from server.ids import uuid7
from server.inbox.receive import Receiver
from server.outbound import Outbound
from server.ports import Converses
from server.routes.api import operations
from server.routes.openapi import openapi, starlette_routes
from server.routes.pages import BUILT, pages
from server.routes.problem import HANDLERS
from server.routes.state import Services, State, Watching
from server.routes.watching import tell_metrics
from server.settings import Settings
from sync.cursor import CursorKeys

__all__ = ["Core", "create_app", "create_relay", "open_core", "run_workers"]


class _Shown(NamedTuple):
    """What the routes show of the server itself."""

    document: Mapping[str, Any]
    tls_ends_at: str | None


def create_app(
    settings: Settings, *, migrate: bool = True, tls_ends_at: str | None = None, built: Path = BUILT
) -> Starlette:
    """The application; everything is opened in its lifespan.

    `tls_ends_at`: when the certificate ends that it is served with, where that is ours. `built`: the app's files.
    """
    api = operations(described())
    shown = _Shown(openapi(api), tls_ends_at)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with AsyncExitStack() as opened:
            core = await opened.enter_async_context(open_core(settings, migrate=migrate))
            await forget_again(core)
            outbound = await opened.enter_async_context(open_outside(core, settings))
            adapters = core.kinds.adapters(outbound, now_ms)
            workers = Workers(core, adapters, settings.lease_s) if settings.relay else None
            services = _services(core, outbound, adapters, workers, shown, settings)
            await opened.enter_async_context(services.pokes.running())
            core.writer.committed.append(services.pokes.poke)
            await opened.enter_async_context(core.refusals.running())
            await opened.enter_async_context(watching(core, _changed(services.pokes, workers)))
            if workers is not None:
                await opened.enter_async_context(workers.running())
            await opened.enter_async_context(alerting(core, outbound, settings))
            yield State(services=services)

    return Application(
        routes=[*starlette_routes(api), *pages(built)],
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=edge_middleware(settings),
    )


async def run_workers(settings: Settings) -> None:
    """Forward and take in what waits, until interrupted."""
    async with working(settings):
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Core]:
    """Forward and take in what waits, until the block ends."""
    async with open_core(settings) as core, open_outside(core, settings) as outbound:
        await forget_again(core)
        workers = Workers(core, core.kinds.adapters(outbound, now_ms), settings.lease_s)
        watched = watching(core, lambda _tenant: workers.wake())
        async with watched, workers.running(), alerting(core, outbound, settings):
            yield core


def create_relay(settings: Settings) -> Starlette:
    """The workers alone, as an application that tells `/metrics` and nothing else: for the metrics token, or here."""
    opened: list[Watching] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with working(settings) as core:
            opened.append(_watching(core, settings))
            yield

    async def metrics(request: Request[Any]) -> Response:
        return await tell_metrics(request, opened[-1])

    return Starlette(routes=[Route("/metrics", metrics)], lifespan=lifespan, exception_handlers=HANDLERS)


def _changed(pokes: Pokes, workers: Workers | None) -> Callable[[str | None], None]:
    def changed(tenant_id: str | None) -> None:
        pokes.poke(tenant_id)
        if workers is not None:
            workers.wake()

    return changed


def _services(
    core: Core,
    outbound: Outbound,
    adapters: Sequence[Adapter],
    workers: Workers | None,
    shown: _Shown,
    settings: Settings,
) -> Services:
    keys, history = CursorKeys(*core.vault.derive(CURSORS)), History(core.writer, uuid7)
    puller = Puller(core.database, core.records, keys, history)
    pusher = Pusher(core.writer, core.records, core.forwarder)
    receiver = Receiver(
        database=core.database,
        writer=core.writer,
        sources={source.name: source for source in adapters},
        secrets=core.credentials.secrets,
        clock=now_ms,
        new_id=uuid7,
        stored=workers.processor.wake if workers is not None else _nobody,
        copies=core.copies,
    )
    return Services(
        database=core.database,
        writer=core.writer,
        registry=core.registry,
        access=core.access,
        exchange=Exchange(core.registry, pusher, puller, now_ms, oldest_schema=OLDEST_SCHEMA),
        receiver=receiver,
        pokes=Pokes(standings(core.database, puller.head_name), settings.heartbeat_s),
        kept=core.kept,
        documents=Documents(core.database, core.records),
        resender=core.resender,
        exporter=core.exporter,
        eraser=core.eraser,
        audit=core.audit,
        refusals=core.refusals,
        watching=_watching(core, settings, shown.tls_ends_at),
        webpush=core.webpush,
        connect=lambda answer: core.credentials.consents.end(answer, outbound, now_ms),
        oidc=open_oidc(core, outbound, settings),
        openapi=shown.document,
        conversations={one.name: one.conversation for one in adapters if isinstance(one, Converses)},
    )


def _watching(core: Core, settings: Settings, tls_ends_at: str | None = None) -> Watching:
    return Watching(core.watch, settings.metrics_token, tuple(core.kinds.forms), settings.down_after_ms, tls_ends_at)


def _nobody() -> None:
    """Workers in another process are told by the database."""
