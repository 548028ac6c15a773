"""`POST /v1/webhooks/{provider}/{address}`: where providers tell us things. Bytes in, stored, acknowledged.

The body is read raw, once and bounded, and never inflated or parsed here: the signature covers it as it came.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.inbox.hints import HintsThrottledError
from server.inbox.receive import MAX_BODY_BYTES, Receiver, UnknownWebhookError
from server.ports import WebhookRefusedError
from server.routes.openapi import Operation
from server.routes.parameters import Parameter
from server.routes.problem import problem
from server.routes.raw import read_raw
from server.routes.state import State, current_correlation_id

_ANSWER = {
    "type": "object",
    "properties": {
        "status": {
            "type": "string",
            "enum": ["stored", "duplicate", "rearmed", "contradicts"],
            "description": "Whatever it is, it was kept: sending it again changes nothing.",
        }
    },
    "required": ["status"],
}


async def webhook(request: Request[State]) -> Response:
    """Take one webhook in. It is acknowledged once it is stored; what becomes of it is seen in the inbox."""
    body = await read_raw(request, MAX_BODY_BYTES)
    headers = {name.lower(): value for name, value in request.headers.items()}
    provider, address = request.path_params["provider"], request.path_params["address"]
    try:
        receipt = await _receiver(request).receive(provider, address, headers, body, current_correlation_id())
    except UnknownWebhookError:
        return problem(404, "unknown_webhook", "Nobody listens at this address: check it where it was set up.")
    except WebhookRefusedError:  # why is in our log: who forges shall not learn how close it came
        return problem(401, "webhook_refused", "The signature is missing, wrong, or of another time.")
    except HintsThrottledError as error:
        headers = {"Retry-After": str(error.retry_after_s)}
        return problem(429, "too_many_hints", "Too many in too short a time: send it again later.", headers=headers)
    return JSONResponse({"status": receipt.outcome})


async def challenge(request: Request[State]) -> Response:
    """Answer a vendor that asks first whether anybody expects its webhooks here."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    provider, address = request.path_params["provider"], request.path_params["address"]
    try:
        answer = await _receiver(request).challenge(provider, address, headers, request.query_params)
    except UnknownWebhookError:
        return problem(404, "unknown_webhook", "Nobody listens at this address: check it where it was set up.")
    except WebhookRefusedError:
        return problem(401, "webhook_refused", "The signature is missing, wrong, or of another time.")
    return JSONResponse(dict(answer))


_PLACE = (
    Parameter("provider", str, "Whose scheme it is signed by.", place="path"),
    Parameter("address", str, "<tenant>.<endpoint>, for a hint with its secret part", place="path"),
)


def challenge_operation() -> Operation:
    """How a vendor's question is declared."""
    return Operation(
        "GET",
        "/v1/webhooks/{provider}/{address}",
        challenge,
        "Ask whether webhooks are expected here, as the provider's scheme does before it sends any.",
        response={"type": "object"},
        errors=(401, 404, 503),
        public=True,
        parameters=_PLACE,
    )


def webhook_operation() -> Operation:
    """How the route is declared."""
    return Operation(
        "POST",
        "/v1/webhooks/{provider}/{address}",
        webhook,
        "Tell of something: signed by the provider's scheme, kept raw, processed later.",
        request={},
        response=_ANSWER,
        errors=(401, 404, 410, 413, 429, 503),
        public=True,
        parameters=_PLACE,
    )


def _receiver(request: Request[State]) -> Receiver:
    return request.state["services"].receiver
