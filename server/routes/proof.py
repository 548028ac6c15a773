"""What a key's request must show beside the key: its certificate, a signature over the request itself.

A request is looked at once, however often it is asked who sent it: a stream asks for as long as it lasts, and a signed
request's id is good once.
"""

from typing import Any

from starlette.requests import Request

from server.auth.certificates import check_certificate
from server.auth.guard import Known
from server.auth.signed import Asked, SignedRequests
from server.routes.raw import read_raw
from sync.protocol import MAX_BODY_BYTES

_PROVED = "rientro.proved"


async def prove(request: Request[Any], known: Known, requests: SignedRequests, now_ms: int) -> None:
    """Let the request of a key pass. Raises AccessError, TooLargeError; 401 where something is missing or wrong."""
    if request.scope.get(_PROVED) == known.key_id:
        return
    if known.certificate is not None:
        check_certificate(_certificate(request), known.certificate, now_ms)
    if known.signing is not None:
        await requests.check(known, await _asked(request))
    request.scope[_PROVED] = known.key_id


def _certificate(request: Request[Any]) -> str | None:
    """The certificate the connection was made with, in PEM (ASGI's TLS extension); from us or a trusted proxy."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    return next(iter(chain), None)


async def _asked(request: Request[Any]) -> Asked:
    query = request.scope["query_string"]
    target = request.scope["raw_path"] + (b"?" + query if query else b"")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(request.method, target, headers, await read_raw(request, MAX_BODY_BYTES))
