"""SQL that renders a page of one bucket: its records and those that left it, in sequence, each a change as JSON text.

A record that left is told as a tombstone with the version it moved at. Both parts are read by an index in the order of
the sequence and merged, so a page costs what it brings.
"""

from collections.abc import Sequence

from server.storage.statement import Statement
from server.storage.wire_sql import postgres_json, sqlite_json
from sync.collection import Collection
from sync.record import ERASED

_WHERE = "tenant_id = :tenant_id AND audience = :audience AND seq > :after AND seq <= :until"
_GROUP = 100
"""So many buckets are merged at a time: SQLite takes 500 terms in one SELECT, and a bucket has two."""
_GONE = '"deleted":true,"fields":{}}'
_ERASED = _GONE.replace("}}", '},"erased":true}')
"""A client forgets what it ever said of such a record, too."""
_GONE_OR_ERASED = f"CASE author WHEN '{ERASED}' THEN '{_ERASED}' ELSE '{_GONE}' END"


def page_statement(collection: Collection, table: str) -> Statement:
    """(seq, change) of one bucket: parameters tenant, audience, after, until."""
    gone = f"{_printf_head(collection)}{_GONE}"
    left = f"FROM departures WHERE collection = '{collection.name}' AND {_WHERE} ORDER BY seq"
    lite = f"SELECT seq, {_sqlite_change(collection)} AS change FROM {table} WHERE {_WHERE}"  # noqa: S608  # our own
    post = f"SELECT seq, {_postgres_change(collection)} AS change FROM {table} WHERE {_WHERE}"  # noqa: S608
    return Statement(
        f"{lite} UNION ALL SELECT seq, printf('{gone}', record_id, version, audience) {left}",
        postgresql=f"{post} UNION ALL SELECT seq, {_postgres_head(collection, 'record_id')} || '{_GONE}' {left}",
    )


def end_statement(buckets: Sequence[tuple[str, str]]) -> Statement:
    """Where a page over buckets (collection, table) ends, by their covering indexes alone.

    Parameters: tenant, after, target, offset, and `audience_<i>` for each bucket.
    """
    audiences = [(f"audience_{i}", name, table) for i, (name, table) in enumerate(buckets)]
    groups = [_in_sequence(audiences[i : i + _GROUP]) for i in range(0, len(audiences), _GROUP)]
    if len(groups) > 1:  # each is read no further than the page can reach
        firsts = " UNION ALL ".join(f"SELECT seq FROM ({group} LIMIT :offset + 1) AS one_group" for group in groups)  # noqa: S608
        groups = [f"SELECT seq FROM ({firsts}) AS every_group ORDER BY seq"]  # noqa: S608
    return Statement(f"{groups[0]} LIMIT 1 OFFSET :offset")


def _in_sequence(audiences: Sequence[tuple[str, str, str]]) -> str:
    """The places of buckets (parameter, collection, table), merged in sequence from their indexes."""
    parts = " UNION ALL ".join(
        f"SELECT seq FROM {source} tenant_id = :tenant_id AND audience = :{audience} "  # noqa: S608  # our own names
        "AND seq > :after AND seq <= :target"
        for audience, name, table in audiences
        for source in (f"{table} WHERE", f"departures WHERE collection = '{name}' AND")
    )
    return f"SELECT seq FROM ({parts}) AS every_bucket ORDER BY seq"  # noqa: S608


def _printf_head(collection: Collection) -> str:
    return f'{{"collection":"{collection.name}","record_id":"%s","version":%d,"audience":"%s",'


def _sqlite_change(collection: Collection) -> str:
    shown = [
        (spec.name, *sqlite_json(spec.wire, spec.name, nullable=spec.nullable)) for spec in collection.fields.values()
    ]
    layout = ",".join(f'"{name}":{form}' for name, form, _ in shown)
    arguments = ", ".join(argument for _, _, given in shown for argument in given)
    head = _printf_head(collection)
    return (
        f"""iif(deleted, printf('{head}', id, version, audience) || {_GONE_OR_ERASED}, """
        f"""printf('{head}"deleted":false,"fields":{{{layout}}}}}', id, version, audience, {arguments}))"""
    )


def _postgres_head(collection: Collection, record_id: str) -> str:
    begin = f"""'{{"collection":"{collection.name}","record_id":"' || {record_id} || '","version":' || version"""
    return f"""{begin} || ',"audience":"' || audience || '",'"""


def _postgres_change(collection: Collection) -> str:
    members = " || ',' || ".join(
        f"""'"{spec.name}":' || {postgres_json(spec.wire, spec.name)}""" for spec in collection.fields.values()
    )
    return (
        f"""{_postgres_head(collection, "id")} || CASE WHEN deleted THEN {_GONE_OR_ERASED} """
        f"""ELSE '"deleted":false,"fields":{{' || {members} || '}}}}' END"""
    )
