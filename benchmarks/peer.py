"""rientro as a peer of a harness that runs the same work against several servers: real processes, real HTTP.

The harness loads this file by its path and completes each class with its own base, which brings `dir`, `port`, `pg`,
`procs`, `spawn` and `ready`. So nothing is imported here but the standard library; the server runs in this checkout's
own environment. A record of the harness (a sale in ten fields) becomes a `sales` record and back without loss; every
client numbers its own mutations without gaps, as the protocol demands.
"""

import asyncio
import json
import os
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = os.environ.get("RIENTRO_BENCH_PYTHON") or str(ROOT / ".venv/bin/python")

FIRST, CLIENTS, EACH = 10_000, 20, 500
"""The harness's push work: so many records by one client, then by so many clients so many each."""

VAT_RATE = "22.00"

Record = Mapping[str, str]
Request = tuple[str, str, dict[str, str], bytes]


def uuid7() -> str:
    """A new id, time first."""
    head = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return str(uuid.UUID(int=head | 0x2 << 62 | secrets.randbits(62)))


def sale_of(record: Record, receipt_no: int) -> dict[str, Any]:
    """A sale's fields.

    A sale's total never changes, the harness's does: what may change travels in `note`, the one field of a sale that a
    person edits, as `<total> <note>`. `currency` has no field of its own and goes with the payment method.
    """
    total, tax = record["total"], record["tax"]
    line = {
        "description": record["product"],
        "quantity": record["quantity"],
        "unit_price": record["unit_price"],
        "total": total,
        "vat_rate": VAT_RATE,
    }
    return {
        "terminal_id": record["store_id"],
        "receipt_no": receipt_no,
        "business_day": record["created_at"][:10],
        "sold_at": record["created_at"],
        "lines": [line],
        "vat": [{"rate": VAT_RATE, "gross": total, "net": _less(total, tax), "vat": tax}],
        "total": total,
        "payment_method": f"{record['payment']}.{record['currency']}",
        "note": note_of(record),
    }


def note_of(record: Record) -> str:
    """What of a record may change after its creation."""
    return f"{record['total']} {record['note']}"


def record_of(record_id: str, sale: Mapping[str, Any]) -> dict[str, str]:
    """The harness's record again."""
    line = sale["lines"][0]
    payment, _, currency = sale["payment_method"].partition(".")
    total, _, note = sale["note"].partition(" ")
    return {
        "id": record_id,
        "store_id": sale["terminal_id"],
        "product": line["description"],
        "quantity": line["quantity"],
        "unit_price": line["unit_price"],
        "tax": sale["vat"][0]["vat"],
        "total": total,
        "currency": currency,
        "payment": payment,
        "created_at": sale["sold_at"],
        "note": note,
    }


def _less(total: str, tax: str) -> str:
    cents = int(total.replace(".", "")) - int(tax.replace(".", ""))
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


class Queue:
    """One client: its own database id, its own device, and the number of its next mutation."""

    def __init__(self, token: str) -> None:
        """Bind a new client to a device's token."""
        self.client_id, self.last_id = uuid7(), 0
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def request(self, **members: Any) -> Request:
        """A round trip of the protocol."""
        document = {"protocol": 1, "client_id": self.client_id, "epoch": None, **members}
        return "POST", "/v1/sync", self.headers, json.dumps(document, separators=(",", ":")).encode()

    def create(self, records: Sequence[Record]) -> Request:
        """Push new sales."""
        made = [self._next("create", record["id"]) for record in records]
        for mutation, record in zip(made, records, strict=True):
            mutation["fields"] = sale_of(record, mutation["mutation_id"])
        return self.request(mutations=made)

    def update(self, items: Sequence[tuple[Record, int]]) -> Request:
        """Push changes to known sales: (the record as it shall be, the version it was made from)."""
        made = [{**self._next("update", record["id"]), "base_version": base} for record, base in items]
        for mutation, (record, _) in zip(made, items, strict=True):
            mutation["fields"] = {"note": note_of(record)}
        return self.request(mutations=made)

    def products(self, ids: Sequence[str]) -> Request:
        """Push new products."""
        fields = {"name": "Caffè", "price": "1.20", "vat_rate": VAT_RATE}
        return self.request(mutations=[self._next("create", one, "products") | {"fields": fields} for one in ids])

    def prices(self, ids: Sequence[str], price: str) -> Request:
        """Push new prices for products, known as they were made."""
        said = {"base_version": 1, "fields": {"price": price, "vat_rate": VAT_RATE}}
        return self.request(mutations=[self._next("update", one, "products") | said for one in ids])

    def pull(self, cursor: str | None, limit: int) -> Request:
        """Ask for a page of sales."""
        return self.request(cursor=cursor, collections=["sales"], limit=limit)

    def _next(self, op: str, record_id: str, collection: str = "sales") -> dict[str, Any]:
        self.last_id += 1
        now = time.time_ns() // 1_000_000
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1000))
        named = {"collection": collection, "record_id": record_id, "op": op, "base_version": 0}
        return {"mutation_id": self.last_id, "uid": uuid7(), **named, "timestamp": f"{stamp}.{now % 1000:03d}Z"}


def environment(data: Path, database_url: str | None = None) -> dict[str, str]:
    """A server's settings: quiet logs, as the harness asks of every peer."""
    found = {
        "RIENTRO_DATA": str(data),
        "RIENTRO_LOG_LEVEL": "WARNING",
        "RIENTRO_ADDRESS_RATE": "0",
        "RIENTRO_DEVICE_RATE": "0",
    }
    return found if database_url is None else {**found, "RIENTRO_DATABASE_URL": database_url}


def serve_command(port: int | str, data: Path) -> list[str]:
    """Python's arguments for the server as people start it."""
    return ["-m", "server", "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(data)]


def many_processes_command(port: int | str, processes: int) -> list[str]:
    """Several server processes on one port and one database."""
    options = ["--log-level", "warning", "--no-access-log", "--host", "127.0.0.1", "--port", str(port)]
    return ["-m", "uvicorn", *options, "--workers", str(processes), "--factory", "benchmarks.serving:app"]


async def set_up(settings: Mapping[str, str], devices: int, *, bound: bool = False) -> list[str]:
    """Make the tables, a tenant and its devices, in a process of their own; the devices' tokens."""
    command = [PYTHON, "-m", "benchmarks.setting_up", str(devices), *(["--bound"] if bound else [])]
    known, pipe = {**os.environ, **settings}, asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=known, stdout=pipe)
    out, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"setting up ended with {child.returncode}")
    return list[str](json.loads(out))


class Rientro:
    """rientro on SQLite: an fsync before each answer."""

    name, durable = "rientro", "SQLite WAL synchronous=FULL commit"
    conflicts = False  # no field of a sale is decided by people; `python -m benchmarks` measures prices that are

    dir: Path
    port: int
    pg: Any
    procs: list[Any]
    scale: float
    spawn: Callable[..., Any]
    ready: Callable[..., Awaitable[None]]

    async def start(self) -> None:
        """Set up, start the server, wait until it answers."""
        settings = environment(self.dir, self.database_url())
        tokens = await set_up(settings, CLIENTS + 2)
        self.queues = [Queue(token) for token in tokens]
        self.made = 0
        self.spawn([PYTHON, *self.command()], env=settings, cwd=ROOT)
        await self.ready(("GET", "/health/ready", {}, b""))

    def command(self) -> list[str]:
        """What to run."""
        return serve_command(self.port, self.dir)

    def database_url(self) -> str | None:
        """None: SQLite in the folder."""
        return None

    def push_req(self, recs: Sequence[Record]) -> Request:
        """The next batch. The harness makes the first client's batches first, then each other client's in turn."""
        first = int(FIRST * self.scale)
        client = 0 if self.made < first else 1 + (self.made - first) // int(EACH * self.scale)
        self.made += len(recs)
        return self.queues[client].create(recs)

    def push_parse(self, _n: int, st: int, body: bytes) -> int:
        """How many were plainly accepted."""
        return sum(verdict["status"] == "applied" for verdict in json.loads(body)["verdicts"]) if st == 200 else 0

    def pull_req(self, cursor: str | None, limit: int) -> Request:
        """A page for a client that only reads."""
        return self.queues[-1].pull(cursor, limit)

    def pull_parse(self, st: int, _hd: Mapping[bytes, bytes], body: bytes) -> tuple[dict[str, Any], str | None, bool]:
        """Records by id, each with its version; the cursor; whether there is more."""
        if st != 200:
            raise RuntimeError(f"pull: {st} {body[:300]!r}")
        page = json.loads(body)
        changes = [(change["record_id"], change["fields"], change["version"]) for change in page["changes"]]
        found = {key: {"rec": record_of(key, fields), "base": version} for key, fields, version in changes}
        return found, page["cursor"], page["more"]

    def update_req(self, items: Sequence[tuple[Record, int]]) -> Request:
        """Changes by the first client."""
        return self.queues[0].update(items)

    def update_parse(self, _n: int, st: int, body: bytes) -> tuple[int, int]:
        """(accepted, conflicts)."""
        found = [verdict["status"] for verdict in json.loads(body)["verdicts"]] if st == 200 else []
        return found.count("applied") + found.count("merged"), found.count("conflict")


class RientroPg(Rientro):
    """rientro on PostgreSQL."""

    name, durable, needs_pg = "rientro-pg", "PostgreSQL commit", True
    push_req = Rientro.push_req  # the harness takes the classes that define it themselves

    def database_url(self) -> str:
        """A fresh database of the harness's server."""
        url: str = self.pg.new_db()
        return url.replace("postgresql://", "postgresql+asyncpg://", 1)

    def server_pids(self) -> list[int]:
        """The database server's work is counted too."""
        return [process.pid for process in self.procs] + [self.pg.proc.pid]


class RientroPgTwoProcesses(RientroPg):
    """Two server processes on one database."""

    name = "rientro-pg-2proc"
    push_req = Rientro.push_req

    def command(self) -> list[str]:
        """What to run."""
        return many_processes_command(self.port, 2)
