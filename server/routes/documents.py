"""`/v1/invoices/{invoice_id}/…`: an invoice as a page for people, the file it came as, and what is attached to it.

What a supplier sent is never shown by us as it is: it is handed over as a download of no type, whatever it says it is.
The page is our own, made of the record; it holds no script and loads nothing.
"""

from typing import Annotated
from urllib.parse import quote

from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from server.engine.documents import Document
from server.ports import Principal
from server.routes.invoice_page import CSP, render_invoice
from server.routes.openapi import Operation
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State, signed_in
from sync.wire import UUID

_ID = Parameter("invoice_id", UUID.check, "The invoice's id.", place="path")
_HASH = Parameter(
    "sha256",
    Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")],
    "The attachment's SHA-256, as the invoice names it.",
    place="path",
)
_DOWNLOAD_CSP = "default-src 'none'; sandbox"
_KEPT_NOWHERE = {"Cache-Control": "no-store"}
_BYTES = {"type": "string", "format": "binary"}


async def view(request: Request[State]) -> Response:
    """The invoice as a page, to read and to print."""
    principal = await _reader(request)
    invoice_id = parse_parameters(request, (_ID,))["invoice_id"]
    fields = await request.state["services"].documents.invoice(principal, invoice_id)
    headers = {**_KEPT_NOWHERE, "Content-Security-Policy": CSP}
    return Response(render_invoice(fields), media_type="text/html; charset=utf-8", headers=headers)


async def file(request: Request[State]) -> Response:
    """The file it came as."""
    principal = await _reader(request)
    invoice_id = parse_parameters(request, (_ID,))["invoice_id"]
    return _download(await request.state["services"].documents.file(principal, invoice_id))


async def attachment(request: Request[State]) -> Response:
    """One attachment."""
    principal = await _reader(request)
    given = parse_parameters(request, (_ID, _HASH))
    documents = request.state["services"].documents
    return _download(await documents.attachment(principal, given["invoice_id"], given["sha256"]))


def document_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    errors = (400, 403, 404, 410, 503)
    return (
        Operation(
            "GET",
            "/v1/invoices/{invoice_id}/view",
            view,
            "An invoice as a page for people, to read and to print. For owners and clerks.",
            response={"type": "string"},
            media_type="text/html",
            errors=errors,
            parameters=(_ID,),
        ),
        Operation(
            "GET",
            "/v1/invoices/{invoice_id}/file",
            file,
            "The file an invoice came as, signature and all. For owners and clerks.",
            response=_BYTES,
            media_type="application/octet-stream",
            errors=errors,
            parameters=(_ID,),
        ),
        Operation(
            "GET",
            "/v1/invoices/{invoice_id}/attachments/{sha256}",
            attachment,
            "What is attached to an invoice. For owners and clerks.",
            response=_BYTES,
            media_type="application/octet-stream",
            errors=errors,
            parameters=(_ID, _HASH),
        ),
    )


async def _reader(request: Request[State]) -> Principal:
    """Who asks, if it is one who may see suppliers' papers. Raises as `signed_in` does, and NotYourPapersError."""
    principal = await signed_in(request, "pull")
    request.state["services"].documents.check(principal)
    return principal


def _download(document: Document) -> Response:
    plain = document.name.encode("ascii", "replace").decode().replace("?", "-")
    headers = {
        **_KEPT_NOWHERE,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(document.name)}",
        "Content-Security-Policy": _DOWNLOAD_CSP,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(document.content, media_type="application/octet-stream", headers=headers)
