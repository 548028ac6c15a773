"""The types that the PWA was built against are those of the collections as they are served."""

import json
from pathlib import Path

from pydantic_core import to_json

from server.collections import registry
from server.routes.schema import describe_collections

KEPT = Path(__file__).parents[2] / "pwa" / "src" / "client" / "generated" / "schema.json"


def test_the_kept_schema_is_the_served_one() -> None:
    """Where this fails, `make types` writes both anew."""
    assert json.loads(to_json(describe_collections(registry()))) == json.loads(KEPT.read_text())
