"""SQL for one collection, derived once from its description: load, insert, update, page.

A row is a tuple in the order `META` plus the collection's fields, all in wire form; JSON fields are text here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.leftover import Leftover
from server.storage.page_sql import page_statement
from server.storage.statement import Statement
from server.storage.synced import META, table_of
from server.storage.wire_sql import (
    blank,
    postgres_text,
    postgres_type,
    sqlite_bind,
    sqlite_literal,
    sqlite_text,
)
from sync.collection import Collection
from sync.record import ERASED, Record
from sync.wire import INSTANT

_META_TYPES = {
    "tenant_id": "uuid",
    "id": "uuid",
    "seq": "bigint",
    "version": "bigint",
    "audience": "text",
    "deleted": "boolean",
    "stamp": "timestamptz",
    "author": "text",
    "clocks": "json",
}
_META_GETTERS = {name: attrgetter(name) for name in META[2:]}
_USUAL_META = {"version": 1, "deleted": False, "clocks": None}


class RecordSql:
    """Loads and stores records of one collection, and renders pages of them."""

    def __init__(self, collection: Collection) -> None:
        """Everything is text by the end of this."""
        self.collection = collection
        self.table = table_of(collection.model).name  # type: ignore[arg-type]
        self.columns = (*META, *collection.names)
        self._fields = [(spec.name, spec.wire, spec.nullable) for spec in collection.fields.values()]
        self._json = frozenset(collection.json_names)
        self._documents = self._json | {"clocks"}
        self._flags = tuple(name for name, wire, _ in self._fields if wire.kind == "flag")
        self._getters = {name: itemgetter(name) for name in collection.names}
        defaults = {name: value for name, value in collection.defaults.items() if sqlite_literal(value) is not None}
        self._usual = _USUAL_META | defaults
        self._insert_with = lru_cache(maxsize=64)(self._insert)
        self.load_statement = self._load()
        self.insert_statement = self._insert(())
        self.update_statement = self._update()
        self.tombstones = self._tombstones()
        self.page_statement = page_statement(collection, self.table)

    async def load(self, tx: Tx, tenant_id: str, ids: Iterable[str]) -> dict[str, Record]:
        """The records of these ids that exist, tombstones included."""
        rows = await tx.fetch(self.load_statement, (to_json(list(ids)).decode(), tenant_id))
        return {row[0]: self._record(row) for row in rows}

    async def insert(self, tx: Tx, tenant_id: str, records: Mapping[str, Record]) -> None:
        """Store new records. Raises DatabaseError (`unique`) where an id is taken.

        A column with its usual value in all of them is not sent: a third of a new sale's.
        """
        columns = self._columns(records)
        usual = tuple(name for name, value in self._usual.items() if columns[name].count(value) == len(records))
        if tx.dialect == "postgresql":  # COPY writes NULL to a column it does not name, and knows no other constant
            usual = tuple(name for name in usual if self._usual[name] is None)
        for name in usual:
            del columns[name]
        rows = self._rows(tenant_id, columns)
        await tx.copy(self.table, ("tenant_id", *columns), self._insert_with(usual), rows)

    async def update(self, tx: Tx, tenant_id: str, records: Mapping[str, Record]) -> None:
        """Store the new state of known records."""
        rows = self._rows(tenant_id, self._columns(records))
        if tx.dialect == "sqlite":
            await tx.many(self.update_statement, rows)
        else:
            document = to_json([dict(zip(self.columns, row, strict=True)) for row in rows]).decode()
            await tx.execute(self.update_statement, (document,))

    async def page(self, tx: Tx, tenant_id: str, audience: str, after: int, until: int) -> Sequence[Sequence[Any]]:
        """(seq, change as JSON text) of one bucket, in sequence; what left it comes as a tombstone."""
        return await tx.fetch(self.page_statement, (tenant_id, audience, after, until))

    def _columns(self, records: Mapping[str, Record]) -> dict[str, list[Any]]:
        """Values by column in the order of `columns`, all but the tenant, as the records hold them."""
        fields = [record.fields for record in records.values()]
        columns = {name: list(map(of, records.values())) for name, of in _META_GETTERS.items()}
        return {"id": list(records), **columns} | {name: list(map(of, fields)) for name, of in self._getters.items()}

    def _rows(self, tenant_id: str, columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Rows of wire text."""
        texts = [_dumped(values) if name in self._documents else values for name, values in columns.items()]
        return list(zip(repeat(tenant_id, len(texts[0])), *texts, strict=True))

    def _record(self, row: Sequence[Any]) -> Record:
        _, seq, version, audience, deleted, stamp, author, clocks, *values = row
        fields = dict(zip(self.collection.names, values, strict=True))
        for name in self._json:
            if fields[name] is not None:
                fields[name] = json.loads(fields[name])
        for name in self._flags:
            if fields[name] is not None:
                fields[name] = bool(fields[name])
        held = None if clocks is None else json.loads(clocks)
        return Record(seq, version, audience, bool(deleted), stamp, author, held, fields)

    def _load(self) -> Statement:
        meta = "id, seq, version, audience, deleted, {stamp}, author, clocks"
        lite = ", ".join(sqlite_text(wire, name) for name, wire, _ in self._fields)
        post = ", ".join(postgres_text(wire, name) for name, wire, _ in self._fields)
        return Statement(
            f"SELECT {meta.format(stamp='stamp')}, {lite} FROM {self.table} "  # noqa: S608  # names of our own
            "WHERE id IN (SELECT value FROM json_each(:ids)) AND tenant_id = :tenant_id",
            postgresql=f"SELECT {meta.format(stamp=postgres_text(INSTANT, 'stamp'))}, {post} "  # noqa: S608
            "FROM json_array_elements_text(:ids::json) AS wanted(one) CROSS JOIN LATERAL "
            f"(SELECT * FROM {self.table} WHERE tenant_id = :tenant_id AND id = wanted.one::uuid LIMIT 1) AS found",
        )

    def _insert(self, usual: tuple[str, ...]) -> Statement:
        """`usual` columns are written out in it, the others are its parameters."""
        binds = {name: f":{name}" for name in META}
        binds |= {name: sqlite_bind(wire, f":{name}") for name, wire, _ in self._fields}
        given = [name for name in self.columns if name not in usual]
        names = ", ".join([*given, *usual])
        values = ", ".join([binds[name] for name in given] + [str(sqlite_literal(self._usual[name])) for name in usual])
        return Statement(f"INSERT INTO {self.table} ({names}) VALUES ({values})")  # noqa: S608

    def _update(self) -> Statement:
        """SQLite takes rows in the order of `columns`, PostgreSQL one JSON document of them."""
        binds = {name: f":{name}" for name in META}
        binds |= {name: sqlite_bind(wire, f":{name}") for name, wire, _ in self._fields}
        types = _META_TYPES | {name: postgres_type(wire) for name, wire, _ in self._fields}
        changing = self.columns[2:]
        lite = ", ".join(f"{name} = {binds[name]}" for name in changing)
        # A JSON value travels as a string inside the document: read as text, then cast.
        shape = ", ".join(f"{name} {types[name].replace('json', 'text')}" for name in self.columns)
        post = ", ".join(f"{name} = new.{name}{'::json' if types[name] == 'json' else ''}" for name in changing)
        return Statement(
            f"UPDATE {self.table} SET {lite} WHERE tenant_id = :tenant_id AND id = :id",  # noqa: S608  # our own names
            postgresql=f"UPDATE {self.table} AS old SET {post} FROM json_to_recordset($1::json) AS new({shape}) "  # noqa: S608
            "WHERE old.tenant_id = new.tenant_id AND old.id = new.id",
            names=self.columns,
        )

    def _tombstones(self) -> Leftover:
        """Collected, a tombstone is a bare id out of every pull's reach: its key still refuses a late creation.

        That of an erased record is empty anyway and stays: a device, however long away, must hear of it to forget.
        """
        blanks = ", ".join(f"{name} = {blank(wire, nullable=nullable)}" for name, wire, nullable in self._fields)
        return Leftover(
            self.table,
            f"deleted AND author <> '{ERASED}' AND seq > 0 AND seq <= :cutoff",
            key="id",
            kind="uuid",
            name=f"{self.collection.name}_tombstones",
            order="seq",
            action=f"UPDATE {self.table} SET seq = 0, clocks = NULL, {blanks}",  # noqa: S608  # our own names
        )


def _dumped(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else to_json(value).decode() for value in values]
