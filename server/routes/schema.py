"""Describes the collections to clients: JSON Schema of each, with every field's policy."""

from typing import Any

from pydantic import TypeAdapter

from sync.collection import Collection
from sync.protocol import Registry
from sync.version import PROTOCOL_VERSION


def describe_collections(registry: Registry) -> dict[str, Any]:
    """All collections; types for a client are generated from this."""
    return {
        "protocol": PROTOCOL_VERSION,
        "schema": registry.schema,
        "collections": {name: _describe(collection) for name, collection in registry.collections.items()},
    }


def _describe(collection: Collection) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for spec in collection.fields.values():
        check: Any = spec.wire.check | None if spec.nullable else spec.wire.check
        described = TypeAdapter(check).json_schema()
        properties[spec.name] = {**described, "x-policy": spec.policy.name, "x-kind": spec.wire.kind}
        if not spec.required:
            properties[spec.name]["default"] = spec.default
        if spec.wire.kind == "decimal":
            properties[spec.name] |= {"x-digits": spec.wire.digits, "x-places": spec.wire.places}
    return {
        "title": collection.model.__name__,
        "type": "object",
        "properties": properties,
        "required": sorted(collection.required),
        "additionalProperties": False,
        "x-schema": collection.options.schema,
        "x-audience": collection.options.audience.kind,
        "x-units": {unit: list(names) for unit, names in collection.options.units.items()},
        "x-fact": collection.options.fact,
        "x-concurrent-delete": collection.options.concurrent_delete,
        "x-may": {role: sorted(operations) for role, operations in collection.options.may.items()},
    }
