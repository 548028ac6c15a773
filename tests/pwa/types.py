"""`make types`: what `GET /v1/schema` answers, written beside the types that are made of it."""

from pydantic_core import to_json

from server.collections import registry
from server.routes.schema import describe_collections
from tests.pwa.test_types import KEPT

if __name__ == "__main__":
    KEPT.write_bytes(to_json(describe_collections(registry()), indent=1) + b"\n")
