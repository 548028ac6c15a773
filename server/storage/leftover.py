"""A kind of leftover: rows that nobody needs any more, counted, found a few at a time, and collected by their keys.

Finding is a read, so that no writer waits for a long search; collecting asks the same condition again, for a row may
have come back to life in between.
"""

from dataclasses import dataclass, field
from typing import Literal

from server.storage.statement import Statement


@dataclass(frozen=True)
class Leftover:
    """Rows of `table` that meet `condition`, searched in `order` (of `key`, unless told) and deleted.

    `also` narrows a search that goes on; `action` stands in for the deletion. `beside` is a table whose rows belong to
    these, by the same key, and go before them. All statements take `tenant_id`, `find` also `limit`, `collect` also
    `keys` (a JSON array), and each whatever the condition names.
    """

    table: str
    condition: str
    key: str = "seq"
    kind: Literal["uuid", "bigint"] = "bigint"
    name: str = ""
    order: str = ""
    also: str = ""
    action: str = ""
    beside: str = ""
    count: Statement = field(init=False)
    find: Statement = field(init=False)
    collect: Statement = field(init=False)
    collect_beside: Statement | None = field(init=False)

    def __post_init__(self) -> None:
        """Make the statements."""
        where = f"WHERE tenant_id = :tenant_id AND {self.condition}"
        order = f"{self.also} ORDER BY {self.order or self.key} LIMIT :limit"
        act = f"{self.action or f'DELETE FROM {self.table}'} {where} AND {self.key} IN"  # noqa: S608  # our own names
        keys = f"SELECT x::{self.kind} FROM json_array_elements_text(:keys::json) AS j(x)"  # noqa: S608
        self._set("name", self.name or self.table)
        self._set("count", Statement(f"SELECT count(*) FROM {self.table} {where}"))  # noqa: S608
        self._set("find", Statement(f"SELECT {self.key} FROM {self.table} {where} {order}"))  # noqa: S608
        collect = f"{act} (SELECT value FROM json_each(:keys))"  # noqa: S608
        self._set("collect", Statement(collect, postgresql=f"{act} ({keys})"))
        theirs = f"SELECT {self.key} FROM {self.table} {where} AND {self.key} IN"  # noqa: S608
        act = f"DELETE FROM {self.beside} WHERE tenant_id = :tenant_id AND {self.key} IN ({theirs}"  # noqa: S608
        beside = Statement(f"{act} (SELECT value FROM json_each(:keys)))", postgresql=f"{act} ({keys}))")  # noqa: S608
        self._set("collect_beside", beside if self.beside else None)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
