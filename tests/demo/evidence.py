"""What the parts of the demonstration have written down themselves, read with nothing but the standard library.

Journals are the clients' own databases, the provider's file is its own, and `audit.json` is what the server tells a
stranger through its public API. Nothing here imports the server or the client.
"""

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

PROVIDER_FILE = "received.jsonl"
AUDIT_FILE = "audit.json"
KIOSK_FILE = "kiosk.jsonl"
INTERMEDIARY_FILE = "intermediary.jsonl"

_MUTATIONS = (
    "SELECT uid, client_id, mutation_id, collection, record_id, state, body, verdict FROM mutations ORDER BY place"
)
_RECORDS = """SELECT collection, record_id, version, deleted, fields FROM base
    WHERE side = (SELECT shown_side FROM client)"""


class Mutation(NamedTuple):
    """What somebody wanted, and what became of it."""

    uid: str
    client_id: str
    mutation_id: int
    collection: str
    record_id: str
    state: str
    body: Mapping[str, Any]
    verdict: Mapping[str, Any] | None


class Record(NamedTuple):
    """A record as somebody has it."""

    collection: str
    record_id: str
    version: int
    deleted: bool
    fields: Mapping[str, Any]


class Arrival(NamedTuple):
    """A request as the provider noted it: `did` is what became of it, `early` that it had asked to be left alone."""

    at: str
    key: str
    did: str
    early: bool
    correlation_id: str
    event: str
    record_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Journal:
    """A client's database: its own mutations, and the records it has."""

    mutations: Sequence[Mutation]
    records: Sequence[Record]


@dataclass(frozen=True)
class Audit:
    """What the server says: its records, the verdicts it gives when asked again, and what it counts.

    `deliveries` and `events` are by state; `refused` webhooks were turned away at the door.
    """

    records: Sequence[Record]
    verdicts: Mapping[str, Mapping[str, Any]]
    deliveries: Mapping[str, int]
    events: Mapping[str, int]
    refused: int


class Told(NamedTuple):
    """A sale as the kiosk told it, or somebody in its name, and how each telling was answered."""

    sale: Mapping[str, Any]
    statuses: Sequence[int]
    forged: bool


class Invoice(NamedTuple):
    """One invoice body of a file that the intermediary has; amounts are decimal text as the file writes them."""

    number: str
    amounts: Sequence[str]


@dataclass(frozen=True)
class Evidence:
    """All of it. `told` is what was made to go wrong, by name and place, as those who did it counted it."""

    journals: Mapping[str, Journal]
    arrivals: Sequence[Arrival]
    kiosk: Sequence[Told]
    invoices: Sequence[Invoice]
    audit: Audit
    told: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_evidence(folder: Path, told: Mapping[str, Mapping[str, int]]) -> Evidence:
    """Collect it from where the demonstration ran; every database in `folder` itself is a client's."""
    journals = {file.stem: read_journal(file) for file in sorted(folder.glob("*.db"))}
    return Evidence(
        journals=journals,
        arrivals=list(read_arrivals(folder / PROVIDER_FILE)),
        kiosk=list(read_kiosk(folder / KIOSK_FILE)),
        invoices=list(read_invoices(folder / INTERMEDIARY_FILE)),
        audit=read_audit(folder / AUDIT_FILE),
        told=told,
    )


def read_journal(file: Path) -> Journal:
    """A client's database, whether or not the client runs."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        mutations = [
            Mutation._make([*plain, json.loads(body), None if verdict is None else json.loads(verdict)])
            for *plain, body, verdict in database.execute(_MUTATIONS)
        ]
        records = [Record._make([*plain, json.loads(fields)]) for *plain, fields in database.execute(_RECORDS)]
    return Journal(mutations, records)


def read_arrivals(file: Path) -> Iterator[Arrival]:
    """The provider's file, in the order things came."""
    for noted in _lines(file):
        sent = json.loads(noted["body"])
        yield Arrival(
            str(noted["at"]),
            noted["key"],
            noted["did"],
            noted["early"],
            noted["correlation_id"],
            sent["type"],
            sent["data"]["record_id"],
            sent["data"]["fields"],
        )


def read_kiosk(file: Path) -> Iterator[Told]:
    """The kiosk's file."""
    for noted in _lines(file):
        yield Told(noted["told"]["data"], noted["statuses"], noted["forged"])


def read_invoices(file: Path) -> Iterator[Invoice]:
    """Every invoice body of every file the intermediary has."""
    for noted in _lines(file):
        document = ET.fromstring(base64.b64decode(noted["payload"]))  # noqa: S314  made by ourselves
        for body in document.iter("FatturaElettronicaBody"):
            amounts = [amount.text or "" for tag in ("ImponibileImporto", "Imposta") for amount in body.iter(tag)]
            yield Invoice(body.findtext(".//DatiGeneraliDocumento/Numero") or "", amounts)


def read_audit(file: Path) -> Audit:
    """What the server said."""
    said = json.loads(file.read_text())
    return Audit([_record(record) for record in said.pop("records")], **said)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """A file of one JSON object a line; nothing where it was never written."""
    if file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def _record(said: Mapping[str, Any]) -> Record:
    return Record(*(said[name] for name in Record._fields))
