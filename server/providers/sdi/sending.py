"""Sending by the Invoicetronic dialect: `POST /send` hands a file over, `GET /update` tells what became of it.

`send` promises `lookup`: the intermediary keeps what it took under the file's name, which is ours alone, so after an
ambiguous answer it is asked (`GET /send`, newest first) before anything is sent again.
"""

import base64
import json
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from server.outbound import Outbound, Reply
from server.ports import Account, Answer, Call, Draft, Operation, UnusableEventError
from server.providers.sdi.receipts import Meaning, draft_of
from server.providers.sdi.writer import UnwritableInvoiceError, write_invoice
from server.resilience.errors import PermanentError, UnknownError

TIMEOUT_S = 20
MAX_LIST_ANSWER = 4 * 1024 * 1024
LOOKED_AT = 200
"""So many of the newest are looked through: a file is looked for soon after it may have been sent."""
LAG_S = 10

Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class Sent(BaseModel):
    """A file that the intermediary took."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    file_name: str | None = None
    identifier: Text | None = None


class Fault(BaseModel):
    """Why SDI discarded it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: Text | None = None
    description: str | None = None


class Update(BaseModel):
    """What became of a file, as the intermediary tells it; `state` is a word, or its number."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    send_id: int | None = None
    state: Text
    identifier: Text | None = None
    message_id: Text | None = None
    errors: list[Fault] | None = None
    send: Sent | None = None


_MEANINGS = {
    **dict.fromkeys(("5", "Consegnato"), Meaning("delivered", 20)),
    **dict.fromkeys(("6", "NonConsegnato"), Meaning("undelivered", 10)),
    **dict.fromkeys(("7", "Scartato"), Meaning("discarded", 40, final=True)),
    **dict.fromkeys(("8", "AccettatoDalDestinatario"), Meaning("accepted", 30, final=True)),
    **dict.fromkeys(("9", "RifiutatoDalDestinatario"), Meaning("refused", 30, final=True)),
    **dict.fromkeys(("10", "ImpossibilitaDiRecapito"), Meaning("undelivered", 10)),
    **dict.fromkeys(("11", "DecorrenzaTermini"), Meaning("expired", 30, final=True)),
    **dict.fromkeys(("12", "AttestazioneTrasmissioneFattura"), Meaning("attested", 30, final=True)),
}
_SENT = frozenset(("2", "Inviato"))
_LIST = TypeAdapter(list[Sent])


class InvoicetronicSending:
    """Hands files over."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound
        self.operation = Operation("lookup", self.send, self.look_up, lag_s=LAG_S)

    async def send(self, call: Call) -> Answer:
        """`POST /send`. Raises OutboundError; PermanentError for an invoice without a valid file."""
        fields = _fields(call)
        try:
            content = write_invoice(fields)
        except UnwritableInvoiceError:
            raise PermanentError("unwritable_invoice") from None
        told = {
            "file_name": fields["file_name"],
            "payload": base64.b64encode(content).decode(),
            "encoding": "Base64",
            "meta_data": {"rientro_key": call.idempotency_key},
        }
        headers = {"Content-Type": "application/json", **_authorization(call.account)}
        reply = await self._outbound.post(_url(call.account, "/send"), json.dumps(told).encode(), headers, TIMEOUT_S)
        if not reply.is_success:
            return reply.answer()
        try:
            return reply.answer(str(Sent.model_validate_json(reply.body or b"").id))
        except ValidationError:
            raise UnknownError("unreadable_answer", maybe_done=True) from None

    async def look_up(self, call: Call) -> Answer | None:
        """The file among the newest that were sent. Raises OutboundError, UnknownError."""
        query = {"page": "1", "page_size": str(LOOKED_AT), "sort": "-last_update", "include_payload": "false"}
        reply = await self._get(call.account, f"/send?{urlencode(query)}")
        if not reply.is_success:
            return reply.answer()
        try:
            found = _LIST.validate_json(reply.body or b"")
        except ValidationError:
            raise UnknownError("unreadable_answer", maybe_done=True) from None
        name = _stem(_fields(call)["file_name"])
        mine = next((one for one in found if one.file_name and _stem(one.file_name) == name), None)
        return None if mine is None else reply.answer(str(mine.id))

    async def update(self, account: Account, update_id: int) -> tuple[Answer, Update | None]:
        """One update, by its id. Raises OutboundError, UnknownError."""
        reply = await self._get(account, f"/update/{update_id}")
        if not reply.is_success:
            return reply.answer(), None
        try:
            return reply.answer(), Update.model_validate_json(reply.body or b"")
        except ValidationError:
            raise UnknownError("unreadable_answer") from None

    async def _get(self, account: Account, path: str) -> Reply:
        return await self._outbound.get(_url(account, path), _authorization(account), TIMEOUT_S, MAX_LIST_ANSWER)


def update_draft(update: Update, account: Account, received_at: str) -> Draft | None:
    """What an update says of the invoice; None while it only says that it was sent. Raises UnusableEventError."""
    if update.state in _SENT:
        return None
    meaning = _MEANINGS.get(update.state)
    file_name = None if update.send is None else update.send.file_name
    if meaning is None or not file_name:
        raise UnusableEventError("unknown_update", "The update names no file, or a state that is not known.")
    errors = [
        {"code": (one.code or "")[:64], "description": (one.description or "")[:500]}
        for one in update.errors or ()
        if (one.code or "").isalnum()
    ]
    fields: dict[str, Any] = {
        "sdi_status": meaning.status,
        "sdi_errors": errors if meaning.status == "discarded" else [],
        "sdi_at": received_at,
    }
    identifier = update.identifier or (None if update.send is None else update.send.identifier)
    if identifier and identifier.isalnum():
        fields["sdi_id"] = identifier
    return draft_of(account, file_name, f"update {update.id} {update.state}", meaning, fields)


def _fields(call: Call) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(call.payload)["data"]["fields"]
    return fields


def _stem(file_name: str) -> str:
    return file_name.partition(".")[0].lower()


def _url(account: Account, path: str) -> str:
    return f"{str(account.settings['base_url']).rstrip('/')}{path}"


def _authorization(account: Account) -> dict[str, str]:
    key = account.secrets.get("api_key", "")
    return {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}
