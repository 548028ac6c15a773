"""Every route of the API, declared once."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from server.routes import health, sync
from server.routes.access import access_operations
from server.routes.audit import audit_operation
from server.routes.customers import customer_operations
from server.routes.documents import document_operations
from server.routes.kept import kept_operations
from server.routes.keys import key_operations
from server.routes.oauth import callback_operation
from server.routes.oidc import oidc_operations
from server.routes.openapi import Operation, document
from server.routes.operations import operations_operations
from server.routes.passkeys import passkey_operations
from server.routes.people import people_operations
from server.routes.sign_in import sign_in_operations
from server.routes.soap import soap_operation
from server.routes.watching import watching_operations
from server.routes.webhooks import challenge_operation, webhook_operation
from server.routes.webpush import webpush_operations
from sync.protocol import Registry, Verdict

_OBJECT = {"type": "object"}
_CHANGE = {
    "type": "object",
    "properties": {
        "collection": {"type": "string"},
        "record_id": {"type": "string", "format": "uuid"},
        "version": {"type": "integer"},
        "deleted": {"type": "boolean"},
        "fields": _OBJECT,
    },
    "required": ["collection", "record_id", "version", "deleted", "fields"],
}


def _sync_response() -> dict[str, Any]:
    text, flag, number = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
    verdict = TypeAdapter(Verdict).json_schema()
    properties = {
        "protocol": number,
        "server_time": text,
        "epoch": text,
        "head": text,
        "last_mutation_id": number,
        "safe_mutation_id": number,
        "verdicts": {"type": "array", "items": verdict},
        "changes": {"type": "array", "items": _CHANGE},
        "dropped": {"type": "array", "items": _OBJECT},
        "cursor": {"type": ["string", "null"]},
        "more": flag,
        "reset": flag,
        "digest": {"type": ["array", "null"]},
        "too_old": flag,
    }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


@cache
def operations(registry: Registry) -> tuple[Operation, ...]:
    """The API."""
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    return (
        Operation(
            "POST",
            "/v1/sync",
            sync.sync,
            "Push queued mutations and pull what changed, in one round trip.",
            request=registry.request_schema(),
            response=_sync_response(),
            errors=(400, 403, 409, 410, 413, 415, 422, 503),
        ),
        Operation("GET", "/v1/schema", sync.schema, "Describe the collections.", response=_OBJECT, errors=(503,)),
        Operation(
            "GET",
            "/v1/live",
            sync.live,
            "Be poked when there is something new.",
            response={"type": "string"},
            media_type="text/event-stream",
            errors=(503,),
        ),
        *access_operations(),
        *sign_in_operations(),
        *passkey_operations(),
        *people_operations(),
        *kept_operations(),
        audit_operation(),
        *customer_operations(),
        *document_operations(),
        *key_operations(),
        webhook_operation(),
        *webpush_operations(),
        challenge_operation(),
        soap_operation(),
        callback_operation(),
        *oidc_operations(),
        Operation("GET", "/health/live", health.live, "Does the process run?", response=status, public=True),
        Operation(
            "GET",
            "/health/ready",
            health.ready,
            "Does the database answer?",
            response=status,
            errors=(503,),
            public=True,
        ),
        *watching_operations(),
        *operations_operations(),
        Operation("GET", "/openapi.json", document, "This document.", response=_OBJECT, public=True),
    )
