"""Change the wire, bump the version: the schema of requests and verdicts is pinned with PROTOCOL_VERSION."""

import hashlib
import json
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, TypeAdapter

from sync.collection import SyncOptions
from sync.policy import COUNTER, LAST_WRITER
from sync.protocol import Registry, Verdict, verdict
from sync.version import HISTORY, PROTOCOL_VERSION
from sync.wire import CODE, DAY, FLAG, INSTANT, INTEGER, MONEY, QUANTITY, UUID, item, json_of, text
from tests.kernel.making import client, uuid

PINNED = {1: "63db7c4ccecf0011b899071d802dabb69fb99ea51d4fb5878679381e94743596"}
"""One line a version, never changed: who changes the wire bumps PROTOCOL_VERSION, tells its history and adds one.

Except that version 1 was pinned before all of its page was built: `resume_from`, `adds` and `removes` came after,
and a limit to a cursor's length went, for what a server had issued could be over it.
"""

WORDLESS = ("title", "description")


class Pinned(BaseModel):
    """One field of every form."""

    sync: ClassVar[SyncOptions] = SyncOptions("pinned", may={})

    uuid: Annotated[str, UUID, LAST_WRITER]
    instant: Annotated[str, INSTANT, LAST_WRITER]
    day: Annotated[str, DAY, LAST_WRITER]
    money: Annotated[str, MONEY, LAST_WRITER]
    text: Annotated[str | None, text(9, least=1), LAST_WRITER]
    code: Annotated[str, CODE, LAST_WRITER]
    flag: Annotated[bool, FLAG, LAST_WRITER]
    integer: Annotated[int, INTEGER, LAST_WRITER]
    entries: Annotated[list[Any], json_of(item("Entry", day=DAY, optional={"code": CODE})), LAST_WRITER]
    counter: Annotated[str, QUANTITY, COUNTER]


class Other(BaseModel):
    """A second one, for mutations are told apart by their collection."""

    sync: ClassVar[SyncOptions] = SyncOptions("other", may={})
    names: Annotated[list[str], json_of(text(9).check, most=3), LAST_WRITER] = Field(default_factory=list)


REGISTRY = Registry((Pinned, Other))


def bare(schema: Any) -> Any:
    """A schema without the words in it that nothing depends on."""
    if isinstance(schema, list):
        return [bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: bare(part) for name, part in schema.items() if not (name in WORDLESS and isinstance(part, str))}


def wire_hash() -> str:
    """A hash of all that is said on the wire."""
    schemas = {
        "request": REGISTRY._whole.json_schema(),
        "unread_request": REGISTRY._loose.json_schema(),
        "envelope": REGISTRY._envelope.json_schema(),
        "verdict": TypeAdapter(Verdict).json_schema(),
    }
    return hashlib.sha256(json.dumps(bare(schemas), sort_keys=True).encode()).hexdigest()


def test_a_changed_wire_has_a_new_version() -> None:
    """The schema's hash is this version's."""
    assert wire_hash() == PINNED[PROTOCOL_VERSION], "the wire changed: bump PROTOCOL_VERSION and pin its hash"


def test_every_version_is_told_of() -> None:
    """In order, none left out, each pinned."""
    assert [version for version, _ in HISTORY] == list(range(1, PROTOCOL_VERSION + 1)) == sorted(PINNED)


def test_this_version_is_spoken() -> None:
    """A request of the current version is understood."""
    request = {"protocol": PROTOCOL_VERSION, "client_id": client(1), "mutations": []}
    assert REGISTRY.parse_request(json.dumps(request).encode()) == request


def test_a_verdict_has_every_member_the_schema_names() -> None:
    """Whoever writes one leaves nothing out."""
    required = TypeAdapter(Verdict).json_schema()["required"]
    assert sorted(verdict(1, uuid(1, 1), "applied")) == sorted(required)
