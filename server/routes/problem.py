"""Problems: every error leaves as RFC 9457 `application/problem+json` with a stable `code`, made here.

A problem tells the reader what to do next, and never quotes a body, a token or a person's data.
"""

import http
from collections.abc import Mapping
from typing import Any

import structlog
from asgi_correlation_id import correlation_id
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from server.auth.errors import AccessError
from server.routes.refused import refused
from server.storage.database import DatabaseError
from server.storage.writer import UnknownTenantError
from sync.errors import SyncError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
_NOT_LET_IN = (401, 403, 429)


class UnauthenticatedError(Exception):
    """No valid token came with the request: sign in again; the queue stays with the client."""


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """A problem document; `members` are this problem's own."""
    document = {"type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "code": code}
    body = to_json({**document, "detail": detail, **members})
    return Response(body, status, media_type=MEDIA_TYPE, headers=headers)


async def on_sync_error(request: Request, error: Exception) -> Response:
    """The protocol's own refusals."""
    assert isinstance(error, SyncError)
    if error.status_hint in _NOT_LET_IN:
        refused(request, error.code)
    return problem(error.status_hint, error.code, str(error), **error.members)


async def on_unauthenticated(request: Request, _error: Exception) -> Response:
    """No valid token."""
    refused(request, "unauthenticated")
    detail = (UnauthenticatedError.__doc__ or "").strip()
    return problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


async def on_access_error(request: Request[Any], error: Exception) -> Response:
    """Somebody who is not let in, or may not do this."""
    assert isinstance(error, AccessError)
    if error.status in _NOT_LET_IN:
        refused(request, error.code)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == http.HTTPStatus.UNAUTHORIZED else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return problem(error.status, error.code, str(error), headers=headers, **error.members)


async def on_tenant_gone(_request: Request, _error: Exception) -> Response:
    """The tenant was deleted."""
    return problem(410, "tenant_gone", "This merchant is no longer here; export the queue.")


async def on_database_error(_request: Request, error: Exception) -> Response:
    """Trouble of ours: nothing was kept, so the same request can be sent again."""
    log.error("database_failed", error=str(error), alarm=True)
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(503, "unavailable", "The server cannot store this now: send it again later.", headers=headers)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """Whoever asked went away in the middle of it, or was cut off: nobody reads this."""
    return problem(400, "disconnected", "The request was not sent to its end.")


async def on_unexpected(_request: Request, error: Exception) -> Response:
    """A defect of ours; the log has it, the answer does not."""
    log.error("unexpected_error", kind=type(error).__name__, exc_info=error, alarm=True)
    headers = {"X-Request-ID": correlation_id.get() or ""}  # this answer goes past the middleware that adds it
    detail = "The server failed; the correlation id is in the response's header."
    return problem(500, "internal_error", detail, headers=headers)


HANDLERS: Mapping[Any, Any] = {
    SyncError: on_sync_error,
    UnauthenticatedError: on_unauthenticated,
    AccessError: on_access_error,
    UnknownTenantError: on_tenant_gone,
    DatabaseError: on_database_error,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_unexpected,
}
