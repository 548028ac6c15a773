"""The command line `rientro`: set up, serve, and look after what waits. Every list speaks `--json`."""

from server.cli import (
    accounts,
    ahead,
    audit,
    backup,
    closures,
    customers,
    devices,
    holes,
    inbox,
    kept,
    keys,
    people,
    secrets,
    serving,
    tenants,
    tidy,
    trace,
    webpush,
)
from server.cli.common import app

main = app

main.add_typer(tenants.app, name="tenant")
main.add_typer(devices.app, name="device")
main.add_typer(people.app, name="person")
main.command("setup")(people.setup)
main.add_typer(keys.app, name="key")
main.add_typer(accounts.app, name="provider")
main.add_typer(secrets.app, name="secrets")
main.add_typer(ahead.app, name="outbox")
main.add_typer(inbox.app, name="inbox")
main.add_typer(closures.app, name="closures")
main.add_typer(audit.app, name="audit")
main.add_typer(customers.app, name="customer")
main.command("tidy")(tidy.tidy)
main.add_typer(holes.app, name="holes")
main.command("trace")(trace.trace)
main.add_typer(webpush.app, name="webpush")
main.command("backup")(backup.backup)
main.command("restore")(backup.restore)
main.add_typer(kept.rejected, name="rejected")
main.add_typer(kept.superseded, name="superseded")
serving.register(main)

__all__ = ["main"]
