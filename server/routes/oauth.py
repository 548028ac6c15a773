"""`GET /v1/oauth/callback`: where a provider sends the person back who connected an account, with a code.

A browser shows what is answered; nothing of what came is in it, and nothing is left in its history to be used again.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from server.credentials.consents import CALLBACK, ConsentError
from server.routes.openapi import Operation
from server.routes.parameters import Parameter
from server.routes.problem import problem
from server.routes.state import State

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def callback(request: Request[State]) -> Response:
    """End a consent; a provider may add parameters of its own, so unknown ones are let through."""
    if request.method == "HEAD":  # somebody's preview of the address: it must not use up the state
        return Response(headers=_HEADERS)
    try:
        await request.state["services"].connect(dict(request.query_params))
    except ConsentError as error:
        status = 502 if error.code == "exchange_failed" else 400
        return problem(status, error.code, str(error), headers=_HEADERS)
    return PlainTextResponse("Connected. This page can be closed.\n", headers=_HEADERS)


def callback_operation() -> Operation:
    """How the route is declared."""
    return Operation(
        "GET",
        CALLBACK,
        callback,
        "Come back from a provider that was asked for its consent.",
        response={"type": "string"},
        media_type="text/plain",
        errors=(400, 502, 503),
        public=True,
        parameters=tuple(
            Parameter(name, str, about, required=False)
            for name, about in (
                ("state", "What the consent was begun with; good once."),
                ("code", "What the tokens are got for."),
                ("error", "Why there is no code."),
                ("iss", "Who answers (RFC 9207)."),
            )
        ),
    )
