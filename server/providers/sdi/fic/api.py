"""The Fatture in Cloud API, as far as receiving goes: registered and pending documents, and the file of each.

A document's file lies elsewhere, at an address signed for a while: it is asked for without our token, which that host
has no right to. Documents that are no electronic invoices have none of ours.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.outbound import Outbound, Reply
from server.ports import Account, Answer
from server.resilience.errors import PermanentError, UnknownError

MAX_FILE = 12 * 1024 * 1024
MAX_ANSWER = 4 * 1024 * 1024
TIMEOUT_S = 15
OK = 200
ELECTRONIC = "agyo"
"""The source of pending documents that came by the exchange; others came by mail or were uploaded."""

Kind = Literal["pending", "registered"]


class Document(BaseModel):
    """A received document. `e_invoice` is said of registered ones, `type` of pending ones says their source."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[int, Field(ge=1, le=2**53)]
    type: str | None = None
    e_invoice: bool | None = None
    filename: str | None = None
    attachment_url: Annotated[str, Field(max_length=4000)] | None = None


class Page(NamedTuple):
    """A page of a list; `more`: there is a next one."""

    answer: Answer
    items: Sequence[Document] = ()
    more: bool = False


class _One(BaseModel):
    data: Document


class _Many(BaseModel):
    data: list[Document]
    current_page: int = 1
    last_page: int = 1


class FicApi:
    """Asks Fatture in Cloud."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests, and puts the account's token on them."""
        self._outbound = outbound

    async def document(self, account: Account, kind: Kind, document_id: int) -> tuple[Answer, Document | None]:
        """A document by its id. Raises OutboundError; PermanentError, UnknownError for answers without use."""
        reply = await self._get(account, f"{_path(kind)}/{document_id}", {"fieldset": "detailed"})
        return reply.answer(), _read(_One, reply).data if reply.status == OK else None

    async def page(self, account: Account, kind: Kind, query: Mapping[str, str]) -> Page:
        """A page of a list. Raises as `document` does."""
        reply = await self._get(account, _path(kind), {"fieldset": "detailed", **query})
        if reply.status != OK:
            return Page(reply.answer())
        many = _read(_Many, reply)
        return Page(reply.answer(), many.data, many.current_page < many.last_page)

    async def file(self, url: str) -> Reply:
        """What lies at a signed address. Raises OutboundError."""
        return await self._outbound.get(url, {"Accept": "*/*"}, TIMEOUT_S, MAX_FILE)

    async def company(self, account: Account) -> Reply:
        """The company as the token sees it: harmless. Raises OutboundError, or a DeliveryError without a token."""
        return await self._get(account, "company/info", {})

    async def _get(self, account: Account, path: str, query: Mapping[str, str]) -> Reply:
        base = f"{str(account.settings['base_url']).rstrip('/')}/c/{int(account.settings['company_id'])}"
        asked = f"?{urlencode(query)}" if query else ""
        return await self._outbound.get(f"{base}/{path}{asked}", {}, TIMEOUT_S, MAX_ANSWER, account)


def _path(kind: Kind) -> str:
    return "received_documents/pending" if kind == "pending" else "received_documents"


def _read(form: Any, reply: Reply) -> Any:
    if reply.body is None:
        raise PermanentError("answer_too_large")
    try:
        return form.model_validate_json(reply.body)
    except ValidationError:
        raise UnknownError("unreadable_answer") from None
