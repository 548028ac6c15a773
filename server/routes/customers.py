"""`/v1/customers/{id}/…`: an owner gives a customer everything that is held about them, and erases it for good."""

import json
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from server.privacy.erase import Erased, Reason
from server.privacy.export import Held
from server.privacy.preview import Preview, preview
from server.routes.access import Form, read_form
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within, owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State
from sync.wire import UUID

_ID = Parameter("customer_id", UUID.check, "The customer's id.", place="path")


class EraseForm(Form):
    """An erasure. `reason`: the ground it is asked for on; `dry_run`: only say what would go and what stays."""

    reason: Reason
    dry_run: bool = True


async def export(request: Request[State]) -> Response:
    """Everything that is held."""
    principal = await owner_of(request)
    check_within(principal, ("pull",))
    customer_id = parse_parameters(request, (_ID,))["customer_id"]
    exporter = request.state["services"].exporter
    return _json(asdict(await exporter.export(principal.tenant_id, customer_id, acting(request, principal))))


async def erase(request: Request[State]) -> Response:
    """Look first, then erase."""
    principal = await owner_of(request)
    check_within(principal, ("push",))
    customer_id = parse_parameters(request, (_ID,))["customer_id"]
    form, services = await read_form(request, EraseForm), request.state["services"]
    tenant_id = principal.tenant_id
    would = preview(await services.exporter.look(tenant_id, customer_id), services.registry)
    done = None
    if not form.dry_run:
        done = await services.eraser.erase(tenant_id, customer_id, form.reason, acting(request, principal))
    return _json({**asdict(would), "erased": None if done is None else done._asdict()})


def customer_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    seen, done = TypeAdapter(Preview).json_schema(), TypeAdapter(Erased).json_schema()
    erased = {"anyOf": [done, {"type": "null"}], "description": "Null where it was only looked at."}
    told = {**seen, "properties": {**seen["properties"], "erased": erased}, "required": [*seen["required"], "erased"]}
    return (
        Operation(
            "GET",
            "/v1/customers/{customer_id}/export",
            export,
            "Everything that is held about a customer. For owners.",
            response=TypeAdapter(Held).json_schema(),
            errors=(400, 403, 404, 410, 503),
            parameters=(_ID,),
        ),
        Operation(
            "POST",
            "/v1/customers/{customer_id}/erase",
            erase,
            "Erase a customer for good, but what the law keeps; a dry run unless told. For owners.",
            request=EraseForm.model_json_schema(),
            response=told,
            errors=(400, 403, 404, 410, 413, 415, 503),
            parameters=(_ID,),
        ),
    )


def _json(document: dict[str, Any]) -> Response:
    """ASCII: what was refused may hold text that no UTF-8 can carry."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), default=str)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})
