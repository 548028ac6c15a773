"""`/v1/operations/…`: an owner sees what waits to go out and what came in, and sends what is stuck on its way again.

The same as `rientro outbox` and `rientro inbox`, for one's own merchant only: every call names the tenant of who asks,
and what is changed is noted as theirs. Payloads and bodies are not told here: they hold persons' data.
"""

from typing import Annotated, Any

from pydantic import Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from server.auth.errors import AccessError
from server.inbox.admin import Event, list_events, replay
from server.inbox.admin import Filter as EventFilter
from server.inbox.decide import EventState
from server.ops.depth import depths
from server.outbox.admin import let_pass, redrive
from server.outbox.listing import Delivery, OutboxError, list_deliveries
from server.outbox.listing import Filter as DeliveryFilter
from server.ports import DeliveryState
from server.routes.access import NOT_STORED, Form, read_form
from server.routes.forms import TEXT, object_schema, status_schema
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within, owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State
from sync.wire import UUID

MOST = 200
MOST_AT_ONCE = 1000
LONGEST_H = 24 * 7
Ids = Annotated[list[Annotated[str, UUID.check]], Field(min_length=1, max_length=MOST)]

_PAGE = (
    Parameter("after", UUID.check, "Go on after this id: the `next` of the page before.", required=False),
    Parameter("limit", Annotated[int, Field(ge=1, le=MOST)], "At most so many.", required=False, default=50),
)
_DELIVERIES = (Parameter("state", DeliveryState, "Only those in this state.", required=False), *_PAGE)
_EVENTS = (Parameter("state", EventState, "Only those in this state.", required=False), *_PAGE)
_HOURS = (Parameter("hours", Annotated[int, Field(ge=1, le=LONGEST_H)], "How far back.", required=False, default=24),)
_DELIVERY_ID = Parameter("delivery_id", UUID.check, "The delivery's id.", place="path")
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_DEPTH = object_schema(waiting=_NUMBERS, oldest_s=_NUMBERS, cut={"type": "boolean"})
_ERRORS = (400, 403, 410, 413, 415, 503)


class RedriveForm(Form):
    """Deliveries to send again; without ids all that are dead. `in_doubt`: also those that may have had effect."""

    ids: Ids | None = None
    in_doubt: bool = False


class ReplayForm(Form):
    """Events to process again; without ids all that are stuck."""

    ids: Ids | None = None


async def list_outbox(request: Request[State]) -> Response:
    """A page of deliveries, newest first."""
    principal = await owner_of(request)
    given = parse_parameters(request, _DELIVERIES)
    states = None if given["state"] is None else [given["state"]]
    wanted = DeliveryFilter(states=states, after=given["after"], limit=given["limit"], newest_first=True)
    found = await list_deliveries(request.state["services"].database, principal.tenant_id, wanted)
    return _page("deliveries", found, "delivery_id", given["limit"])


async def list_inbox(request: Request[State]) -> Response:
    """A page of events, newest first."""
    principal = await owner_of(request)
    given = parse_parameters(request, _EVENTS)
    states = None if given["state"] is None else [given["state"]]
    wanted = EventFilter(states=states, after=given["after"], limit=given["limit"], newest_first=True)
    found = await list_events(request.state["services"].database, principal.tenant_id, wanted)
    return _page("events", found, "receipt_id", given["limit"])


async def show_depths(request: Request[State]) -> Response:
    """What waited over time."""
    principal = await owner_of(request)
    hours, services = parse_parameters(request, _HOURS)["hours"], request.state["services"]
    found = await depths(services.database, principal.tenant_id, services.watching.watch.clock(), hours)
    return _json({"at": found.at, "outbox": found.outbox._asdict(), "inbox": found.inbox._asdict()})


async def redrive_some(request: Request[State]) -> Response:
    """Send what is stuck on its way again."""
    principal = await owner_of(request)
    check_within(principal, ("push",))
    form = await read_form(request, RedriveForm)
    states: list[DeliveryState] = ["dead", "in_doubt"] if form.in_doubt else ["dead"]
    wanted = DeliveryFilter(states=states, ids=form.ids, limit=MOST_AT_ONCE)
    writer, actor = request.state["services"].writer, acting(request, principal)
    return _json({"count": await redrive(writer, principal.tenant_id, wanted, actor)})


async def let_one_pass(request: Request[State]) -> Response:
    """Let later deliveries of its record go on past a dead one."""
    principal = await owner_of(request)
    check_within(principal, ("push",))
    delivery_id = parse_parameters(request, (_DELIVERY_ID,))["delivery_id"]
    writer, actor = request.state["services"].writer, acting(request, principal)
    try:
        await let_pass(writer, principal.tenant_id, delivery_id, actor)
    except OutboxError as error:
        raise _refusal(error) from None
    return _json({"status": "passed"})


async def replay_some(request: Request[State]) -> Response:
    """Process what is stuck again."""
    principal = await owner_of(request)
    check_within(principal, ("push",))
    form = await read_form(request, ReplayForm)
    writer, actor = request.state["services"].writer, acting(request, principal)
    wanted = EventFilter(ids=form.ids, limit=MOST_AT_ONCE)
    return _json({"count": await replay(writer, principal.tenant_id, wanted, actor=actor)})


def operations_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    count = object_schema(count={"type": "integer"})
    path = "/v1/operations"
    return (
        Operation(
            "GET",
            f"{path}/deliveries",
            list_outbox,
            "List what goes out to providers, newest first. For owners.",
            response=_page_schema("deliveries", Delivery),
            errors=(400, 403, 503),
            parameters=_DELIVERIES,
        ),
        Operation(
            "GET",
            f"{path}/events",
            list_inbox,
            "List what came in from providers, newest first. For owners.",
            response=_page_schema("events", Event),
            errors=(400, 403, 503),
            parameters=_EVENTS,
        ),
        Operation(
            "GET",
            f"{path}/depths",
            show_depths,
            "How many deliveries and events waited over the last hours, and for how long. For owners.",
            response=object_schema(at={"type": "array", "items": TEXT}, outbox=_DEPTH, inbox=_DEPTH),
            errors=(400, 403, 503),
            parameters=_HOURS,
        ),
        Operation(
            "POST",
            f"{path}/deliveries/redrive",
            redrive_some,
            "Send dead deliveries on their way again, with the same key and payload. For owners.",
            request=RedriveForm.model_json_schema(),
            response=count,
            errors=_ERRORS,
        ),
        Operation(
            "POST",
            f"{path}/deliveries/{{delivery_id}}/let-pass",
            let_one_pass,
            "Let later deliveries of its record go on past a dead one. For owners.",
            response=status_schema("passed"),
            errors=(400, 403, 404, 409, 410, 503),
            parameters=(_DELIVERY_ID,),
        ),
        Operation(
            "POST",
            f"{path}/events/replay",
            replay_some,
            "Process stuck events again: what an event told applies once all the same. For owners.",
            request=ReplayForm.model_json_schema(),
            response=count,
            errors=_ERRORS,
        ),
    )


def _refusal(error: OutboxError) -> AccessError:
    return AccessError(
        error.code, f"{str(error).capitalize()}.", status=404 if error.code.startswith("unknown") else 409
    )


def _page(name: str, rows: list[Any], key: str, limit: int) -> Response:
    last = getattr(rows[-1], key) if len(rows) == limit else None
    return _json({name: [row._asdict() for row in rows], "next": last})


def _json(document: dict[str, Any]) -> Response:
    return Response(to_json(document), media_type="application/json", headers=NOT_STORED)


def _page_schema(name: str, row: type[Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {key: {} for key in row._fields}, "required": list(row._fields)}
    listed = {"type": "array", "items": schema}
    return object_schema(**{name: listed, "next": {"type": ["string", "null"]}})
