"""`/metrics` for Prometheus, and `/health/integrations`: how each account at a provider does.

A device sees how its own merchant's integrations do, an owner each account too; whoever has the metrics token sees all.
None of it is more than ids, counts, times and stable codes. An account's id is part of the address its webhooks come
to, so tills do not see it.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.ops.accounts import Account, refused_today, tenants_accounts
from server.ops.exposition import MEDIA_TYPE, expose
from server.ops.integrations import describe, worst
from server.routes.openapi import Operation
from server.routes.operator import check_operator, has_token
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State, Watching, signed_in
from sync.clock import encode_instant

_STATUS = {"type": "string", "enum": ["ok", "degraded", "down", "paused", "unknown"]}
_INTEGRATION = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "status": {**_STATUS, "description": "The worst of its accounts'."},
        "accounts": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Shown to owners and to the metrics token.",
        },
    },
    "required": ["name", "status", "accounts"],
}
_INTEGRATIONS = {
    "type": "object",
    "properties": {"status": _STATUS, "integrations": {"type": "array", "items": _INTEGRATION}},
    "required": ["status", "integrations"],
}
_NAME = Parameter("name", str, "The provider's name.", place="path")


async def metrics(request: Request[State]) -> Response:
    """Everything that is counted."""
    return await tell_metrics(request, request.state["services"].watching)


async def tell_metrics(request: Request[Any], watching: Watching) -> Response:
    """The same of a process that has nothing else to tell. Raises UnauthenticatedError."""
    check_operator(request, watching.token)
    parse_parameters(request, ())
    figures = await watching.watch.figures()
    return Response(expose(figures, watching.down_after_ms), media_type=MEDIA_TYPE)


async def integrations(request: Request[State]) -> Response:
    """All integrations, each with its accounts."""
    shown = await _integrations(request)
    return JSONResponse({"status": worst([one["status"] for one in shown]), "integrations": shown})


async def integration(request: Request[State]) -> Response:
    """One integration."""
    shown = await _integrations(request)
    name = request.path_params["name"]
    found = next((one for one in shown if one["name"] == name), None)
    if found is None:
        raise HTTPException(404, "There is no such integration: see /health/integrations.")
    return JSONResponse(found)


def watching_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    return (
        Operation(
            "GET",
            "/metrics",
            metrics,
            "Prometheus' text: for the metrics token, or from the server's own machine.",
            response={"type": "string"},
            media_type="text/plain",
            errors=(400,),
            schemes=("metrics", ""),
        ),
        Operation(
            "GET",
            "/health/integrations",
            integrations,
            "How each integration does: the caller's own merchant's, or with the metrics token all.",
            response=_INTEGRATIONS,
            errors=(400, 503),
            schemes=("device", "metrics"),
        ),
        Operation(
            "GET",
            "/health/integrations/{name}",
            integration,
            "How one integration does.",
            response=_INTEGRATION,
            errors=(400, 404, 503),
            schemes=("device", "metrics"),
            parameters=(_NAME,),
        ),
    )


async def _integrations(request: Request[State]) -> list[dict[str, Any]]:
    watching = request.state["services"].watching
    parse_parameters(request, (_NAME,) if "name" in request.path_params else ())
    if has_token(request, watching.token):
        figures = await watching.watch.figures()
        accounts, refused = figures.accounts, None
    else:
        tenant_id, _, role, *_ = await signed_in(request, "watch")
        database, today = request.state["services"].database, encode_instant(watching.watch.clock())[:10]
        accounts = await database.read(partial(tenants_accounts, tenant_id=tenant_id))
        refused = await database.read(partial(refused_today, tenant_id=tenant_id, day=today))
        if role != "owner":
            return [{**one, "accounts": []} for one in _shown(request, accounts, refused)]
    return _shown(request, accounts, refused)


def _shown(
    request: Request[State], accounts: Sequence[Account], refused: dict[str, int] | None
) -> list[dict[str, Any]]:
    watching = request.state["services"].watching
    now_ms = watching.watch.clock()
    by_provider: dict[str, list[dict[str, Any]]] = defaultdict(list, {name: [] for name in watching.providers})
    for account in accounts:
        count = None if refused is None else refused.get(account.endpoint_id, 0)
        by_provider[account.provider].append(describe(account, count, now_ms, watching.down_after_ms))
    return [
        {"name": name, "status": worst([one["status"] for one in shown]), "accounts": shown}
        for name, shown in sorted(by_provider.items())
    ]
