"""Which records name a person's: by the references that collections declare, through the index each of them has."""

from collections.abc import Mapping
from typing import NamedTuple

from server.engine.records import Records
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.collection import Collection


class Naming(NamedTuple):
    """A field of a collection that may name the record: its ids page by page, and those among some."""

    collection: Collection
    page: Statement
    among: Statement

    async def ids(self, tx: Tx, tenant_id: str, record_id: str, after: str, most: int) -> list[str]:
        """At most so many records that name it, after an id."""
        named = {"tenant_id": tenant_id, "record_id": record_id, "after": after, "most": most}
        return [row[0] for row in await tx.fetch(self.page, named)]


def namings(records: Records, name: str) -> Mapping[str, Naming]:
    """What may name a record of a collection, by collection."""
    found: dict[str, Naming] = {}
    for other, sql in records.sql.items():
        for field, target in sql.collection.options.references.items():
            if target == name:
                found[other] = _naming(sql.collection, sql.table, field)
    return found


def _naming(collection: Collection, table: str, field: str) -> Naming:
    naming = f"SELECT id FROM {table} WHERE tenant_id = :tenant_id AND {field} = :record_id"  # noqa: S608  # our names
    return Naming(
        collection,
        Statement(f"{naming} AND id > :after ORDER BY id LIMIT :most"),
        Statement(
            f"{naming} AND id IN (SELECT value FROM json_each(:ids))",  # noqa: S608
            postgresql=f"{naming} AND id IN (SELECT x::uuid FROM json_array_elements_text(:ids::json) AS j(x))",  # noqa: S608
        ),
    )
