"""The command line `rientro`: set up, serve, and look after what waits. Every list speaks `--json`."""

from server.cli import devices, outbox, providers, serving, tenants
from server.cli.common import app

main = app

main.add_typer(tenants.app, name="tenant")
main.add_typer(devices.app, name="device")
main.add_typer(providers.app, name="provider")
main.add_typer(outbox.app, name="outbox")
serving.register(main)

__all__ = ["main"]
