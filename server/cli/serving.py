"""`rientro serve`, `rientro relay`, `rientro migrate`."""

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
import uvicorn

from server.app import create_app, create_relay, run_workers
from server.cli.common import Data, console, plainly, settings_for
from server.cli.demo import announce
from server.cli.protocol import Protocol
from server.cli.tls import check_tls
from server.ops.logs import set_up_logs
from server.settings import Settings
from server.storage.migrate import upgrade


def register(main: typer.Typer) -> None:
    """Add the commands to the top level."""
    main.command()(serve)
    main.command()(relay)
    main.command()(migrate)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    demo: Annotated[bool, typer.Option("--demo", help="Seed a demonstration shop at the first start.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate and its chain, PEM: serve by HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Who makes the certificates that keys are tied to.")
    ] = None,
    data: Data = None,
) -> None:
    """Serve clients, and forward what they send (unless RIENTRO_RELAY=0: then run `rientro relay` beside it)."""
    settings = settings_for(data)
    set_up_logs(settings.log_level)
    tls = plainly(lambda: check_tls(tls_cert, tls_key, tls_client_ca, datetime.now(UTC)))
    if demo:
        plainly(lambda: anyio.run(partial(announce, settings, host, port, tls=tls is not None)))
    app = create_app(settings, tls_ends_at=None if tls is None else tls.ends_at)
    _run(app, settings, host, port, **({} if tls is None else tls.options()))


def _run(app: Any, settings: Settings, host: str, port: int, **options: Any) -> None:
    Protocol.TRUSTED = settings.trusted_networks
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",  # none are served: their library need not be loaded
        http=Protocol,
        proxy_headers=False,  # believed of those the settings name, and of nobody else
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=5,
        **options,
    )
    with suppress(KeyboardInterrupt):  # asked for, and everything is closed by then
        uvicorn.Server(config).run()


def relay(
    metrics_host: Annotated[str, typer.Option(help="Address to tell /metrics on.")] = "127.0.0.1",
    metrics_port: Annotated[
        int | None, typer.Option(help="Port to tell /metrics on, and nothing else; without it, nowhere.", max=65535)
    ] = None,
    data: Data = None,
) -> None:
    """Forward and take in what waits, without serving clients; several may run at once."""
    settings = settings_for(data)
    set_up_logs(settings.log_level)
    if metrics_port is None:
        plainly(lambda: anyio.run(run_workers, settings, backend_options={"use_uvloop": True}))
    else:
        _run(create_relay(settings), settings, metrics_host, metrics_port)


def migrate(data: Data = None) -> None:
    """Bring the database to this version's tables; `serve` does so too."""
    settings = settings_for(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    plainly(lambda: anyio.run(upgrade, settings.database()))
    console.print("The database is up to date.")
