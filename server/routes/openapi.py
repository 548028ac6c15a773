"""`GET /openapi.json`: generated from the same declarations that make the routes, so it cannot fall behind them.

Each route is declared once, as an `Operation`: address, handler, what it takes and gives. `starlette_routes` makes the
routes of them, `openapi` the document.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.routes.parameters import Parameter
from server.routes.problem import MEDIA_TYPE
from server.routes.state import State

Handler = Callable[[Request[State]], Awaitable[Response]]

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable: programs decide by it."},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "detail"],
}


@dataclass(frozen=True)
class Operation:
    """One route.

    `errors` are the statuses of the problems it may answer with, `schemes` what it may be asked with ("": with nothing,
    by some). `redirects`: it may send a browser on (303).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    media_type: str = "application/json"
    errors: Sequence[int] = ()
    public: bool = False
    schemes: Sequence[str] = ("device",)
    parameters: Sequence[Parameter] = ()
    redirects: bool = False


def starlette_routes(operations: Sequence[Operation]) -> list[Route]:
    """The routes, one a path: asked by another method, it says all that it takes."""
    paths: dict[str, dict[str, Handler]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation.handler
    return [Route(path, _by_method(handlers), methods=[*handlers]) for path, handlers in paths.items()]


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    async def handle(request: Request[State]) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rientro", "version": "1", "description": "Sales made offline come home, once."},
        "paths": paths,
        "components": {
            "securitySchemes": {name: {"type": "http", "scheme": "bearer"} for name in ("device", "metrics")},
            "schemas": {"Problem": _PROBLEM},
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    limited = () if operation.path.startswith("/health/") else (429,)
    errors = sorted({*operation.errors, *limited, *(() if operation.public else (401,))})
    problem = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    answer: dict[str, Any] = {"description": "Done."}
    if operation.response is not None:
        answer["content"] = {operation.media_type: {"schema": operation.response}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {"200": answer, **{str(status): {"description": "A problem.", **problem} for status in errors}},
        "security": [] if operation.public else [{scheme: []} if scheme else {} for scheme in operation.schemes],
    }
    if operation.redirects:
        described["responses"]["303"] = {"description": "Go on there."}
    if operation.request is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.request}},
        }
    if operation.parameters:
        described["parameters"] = [parameter.describe() for parameter in operation.parameters]
    return described


async def document(request: Request[State]) -> Response:
    """The document itself."""
    return JSONResponse(dict(request.state["services"].openapi))
