"""`POST /v1/soap/{provider}/{address}`: where a provider calls that wants an answer in its own words, by mutual TLS.

Rules:

1. Without a client certificate nothing is read. Whether it is the right one is the scheme's to say.
2. It is stored as any webhook is, raw parts and metadata in one transaction, and copied where no restored database can
   lose it, and only then acknowledged: nobody can be asked for it a second time.
3. Whatever goes wrong is told as a fault, with 500, which has the caller come again.
"""

from typing import Any

import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from server.inbox.receive import Receiver, UnknownWebhookError
from server.ports import Conversation, Heard, UnheardError, WebhookRefusedError
from server.routes.openapi import Operation
from server.routes.parameters import Parameter
from server.routes.problem import problem
from server.routes.raw import read_raw
from server.routes.state import State, current_correlation_id
from server.storage.database import DatabaseError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SHORT_BYTES = 64 * 1024
FAULT = 500
"""The status of every SOAP 1.1 fault over HTTP."""


async def soap(request: Request[State]) -> Response:
    """Take one message in; it is answered once it is stored."""
    provider = request.path_params["provider"]
    conversation = request.state["services"].conversations.get(provider)
    if conversation is None:
        return problem(404, "unknown_webhook", "Nobody listens at this address: check it where it was set up.")
    certificate = _certificate(request)
    if certificate is None:
        return problem(401, "no_certificate", "Show a client certificate.")
    try:
        answer, status = await _take(request, conversation, certificate), 200
    except UnknownWebhookError:
        return problem(404, "unknown_webhook", "Nobody listens at this address: check it where it was set up.")
    except UnheardError as error:
        answer, status = error.answer, FAULT
    except WebhookRefusedError:
        answer, status = conversation.excuse(ours=False), FAULT
    except (DatabaseError, OSError) as error:
        log.exception("message_not_kept", alarm=True, provider=provider, error=type(error).__name__)
        answer, status = conversation.excuse(ours=True), FAULT
    return Response(answer, status, media_type=conversation.media_type)


async def _take(request: Request[State], conversation: Conversation, certificate: str) -> bytes:
    """Store a message; what it is answered with. Raises what the parts raise."""
    services, parameters = request.state["services"], request.path_params
    headers = {name.lower(): value for name, value in request.headers.items()}
    heard = await _hear(conversation, headers, await read_raw(request, conversation.max_bytes))
    receiver: Receiver = services.receiver
    at = (parameters["provider"], parameters["address"])
    await receiver.receive(*at, headers, heard.kept, current_correlation_id(), certificate=certificate)
    return heard.answer


async def _hear(conversation: Conversation, headers: dict[str, str], body: bytes) -> Heard:
    if len(body) <= SHORT_BYTES:
        return conversation.hear(headers, body)
    return await to_thread.run_sync(conversation.hear, headers, body)


def _certificate(request: Request[Any]) -> str | None:
    """The one the connection was made with, in PEM; from us or a trusted proxy."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    return next(iter(chain), None)


def soap_operation() -> Operation:
    """How the route is declared."""
    return Operation(
        "POST",
        "/v1/soap/{provider}/{address}",
        soap,
        "Speak with a provider by SOAP, over mutual TLS: kept raw, processed later.",
        request={},
        response={"type": "string"},
        media_type="text/xml",
        errors=(401, 404, 410, 413),
        public=True,
        parameters=(
            Parameter("provider", str, "Who calls.", place="path"),
            Parameter("address", str, "<tenant>.<endpoint>", place="path"),
        ),
    )
