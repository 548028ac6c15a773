"""The Invoicetronic API, as far as receiving goes: `GET /receive/{id}` and the list, with an API key by Basic auth.

An invoice counts as read, and costs, when its payload is fetched; so lists are asked for without.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from server.outbound import Outbound, Reply
from server.ports import Account, Answer, Fetched
from server.resilience.errors import PermanentError, UnknownError

MAX_FILE_ANSWER = 12 * 1024 * 1024
"""A file of 5 MiB, SDI's limit, in base64 in JSON, and some."""
MAX_LIST_ANSWER = 4 * 1024 * 1024
TIMEOUT_S = 15
TOTAL_HEADER = "invoicetronic-total-count"
OK = 200
_DECLARED = re.compile(r"""\A(\ufeff?<\?xml[^>]{0,200}?encoding\s*=\s*["'])([\w.-]{1,40})(["'])""")


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Listed(BaseModel):
    """A received invoice without its payload."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    company_id: int | None = None
    identifier: Text | None = None
    file_name: str | None = None
    last_update: datetime | None = None

    @property
    def updated_at(self) -> datetime | None:
        """When SDI last touched it; UTC where no zone is given."""
        return _aware(self.last_update)


class Invoice(Listed):
    """A received invoice with its payload: `encoding` says `Xml` or `Base64`."""

    payload: str | None = None
    encoding: str | None = None


class Page(NamedTuple):
    """A page of the list, and how many there are in all."""

    answer: Answer
    items: Sequence[Listed] = ()
    total: int | None = None


_LIST = TypeAdapter(list[Listed])


class InvoicetronicApi:
    """Asks the intermediary."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound

    async def file(self, account: Account, resource: int) -> Fetched:
        """A received invoice's file. Raises OutboundError; PermanentError, UnknownError for answers without use."""
        reply = await self._get(account, f"/receive/{resource}", {"include_payload": "true"}, MAX_FILE_ANSWER)
        if reply.status != OK:
            return Fetched(reply.answer())
        try:
            invoice = Invoice.model_validate_json(_body(reply))
        except ValidationError:
            raise UnknownError("unreadable_answer") from None
        if not invoice.payload:
            raise UnknownError("no_payload")
        return Fetched(reply.answer(), _content(invoice.payload, invoice.encoding), _facts(invoice, resource))

    async def page(self, account: Account, query: Mapping[str, str]) -> Page:
        """A page of the list. Raises as `file` does."""
        reply = await self._get(account, "/receive", {**query, "include_payload": "false"}, MAX_LIST_ANSWER)
        if reply.status != OK:
            return Page(reply.answer())
        try:
            items = _LIST.validate_json(_body(reply))
        except ValidationError:
            raise UnknownError("unreadable_answer") from None
        total = reply.headers.get(TOTAL_HEADER, "")
        return Page(reply.answer(), items, int(total) if total.isascii() and total.isdecimal() else None)

    async def _get(self, account: Account, path: str, query: Mapping[str, str], limit: int) -> Reply:
        key = account.secrets.get("api_key", "")
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        url = f"{str(account.settings['base_url']).rstrip('/')}{path}?{urlencode(query)}"
        return await self._outbound.get(url, {"Authorization": f"Basic {credentials}"}, TIMEOUT_S, limit)


def _body(reply: Reply) -> bytes:
    if reply.body is None:
        raise PermanentError("answer_too_large")
    return reply.body


def _content(payload: str, encoding: str | None) -> bytes:
    """The file's bytes. XML that came as text is written in the encoding it declares, as it was before."""
    if (encoding or "").lower() == "base64":
        try:
            return base64.b64decode(payload)
        except (binascii.Error, ValueError):
            return payload.encode()  # let the reader say what is wrong with it
    declared = _DECLARED.match(payload)
    try:
        return payload.encode(declared[2] if declared else "utf-8")
    except (LookupError, UnicodeEncodeError):
        return _DECLARED.sub(r"\1UTF-8\3", payload).encode(errors="replace")


def _facts(invoice: Invoice, resource: int) -> dict[str, str]:
    """What it says beside the file, as far as both databases take it."""
    said = {
        "resource_id": str(resource),
        "company_id": None if invoice.company_id is None else str(invoice.company_id),
        "identifier": invoice.identifier,
        "file_name": invoice.file_name,
        "encoding": invoice.encoding,
    }
    return {name: value for name, value in said.items() if value and value.isprintable() and len(value) <= 255}  # noqa: PLR2004  # a file's name
