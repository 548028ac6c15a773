"""Old apps: whatever schema a queue was made with, it comes home and means the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.collections import registry
from server.engine.exchange import Exchange
from server.engine.push import Pusher
from tests.support.shop import Shop

FOLDER = Path(__file__).parent.parent / "vectors" / "schemas"
SCHEMAS = {int(file.stem): json.loads(file.read_text()) for file in FOLDER.glob("*.json")}


@pytest.mark.parametrize("said", SCHEMAS.values(), ids=[f"schema-{schema}" for schema in SCHEMAS])
async def test_every_schemas_mutations_are_taken_and_mean_what_they_meant(shop: Shop, said: dict[str, Any]) -> None:
    """Sent twice, for the first answer may be lost."""
    owner = shop.device("owner")
    for _ in range(2):
        answer = await owner.send(*said["mutations"], schema=said["schema"])
        assert [v["status"] for v in answer["verdicts"]] == ["applied"] * len(said["mutations"])
    await owner.pull(*said["records"])
    for collection, records in said["records"].items():
        for record_id, fields in records.items():
            found = owner.received[collection, record_id]["fields"]
            assert {name: found[name] for name in fields} == fields


def test_every_schema_there_was_is_replayed() -> None:
    """A collection that changes brings a file of what its newest app sends; the first release was schema 4."""
    assert sorted(SCHEMAS) == list(range(4, registry().schema + 1))


async def test_an_app_too_old_is_told_so_and_may_always_push(shop: Shop) -> None:
    """Its queue comes home; of the pages it could not read it gets none, and its cursor stays where it was."""
    pusher = Pusher(shop.writer, shop.records, shop.forwarding)
    shop.exchange = Exchange(registry(), pusher, shop.puller, shop.clock, oldest_schema=5)
    till = shop.device()
    answer = await till.send(till.sale(), schema=4, collections=["sales"], cursor="here")
    assert [v["status"] for v in answer["verdicts"]] == ["applied"]
    told = {name: answer[name] for name in ("too_old", "changes", "cursor", "more", "reset")}
    assert told == {"too_old": True, "changes": [], "cursor": "here", "more": False, "reset": False}
    only_pulling = await till.send(schema=4, collections=["sales"])
    assert (only_pulling["too_old"], only_pulling["changes"]) == (True, [])
    today = await till.send(schema=5, collections=["sales"])
    assert (today["too_old"], len(today["changes"])) == (False, 1)
