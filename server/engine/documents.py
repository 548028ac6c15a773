"""Documents of a record: the file an invoice came as, and what is attached to it, for those who may see the record.

Rules:

1. A content is had through a record that names its hash, and by no other way: who may not see the record, of the same
   tenant or another, is answered as if there were none.
2. The collection says which roles have to do with it; a till, which only rings up, gets no supplier's papers.
"""

import re
from typing import Any, NamedTuple

from server.engine.records import Records
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.errors import SyncError
from sync.record import Record

INVOICES = "invoices"
_CONTENT = Statement("SELECT content FROM files WHERE tenant_id = :tenant_id AND sha256 = :sha256")
_UNSAFE = re.compile(r"[^\w .,()+-]")
_LONGEST_NAME = 150


class NoDocumentError(SyncError):
    """There is no such document, or it is not yours to see."""

    code = "no_document"
    status_hint = 404


class NotYourPapersError(SyncError):
    """Suppliers' papers are for owners and clerks."""

    code = "forbidden"
    status_hint = 403


class Document(NamedTuple):
    """A content, and what to call it."""

    name: str
    content: bytes


class Documents:
    """Reads records and what they name, within what a principal may see."""

    def __init__(self, database: Database, records: Records) -> None:
        """`records` tell who may see what."""
        self._database, self._records = database, records

    def check(self, principal: Principal) -> None:
        """Raise NotYourPapersError for a role that has nothing to do with invoices, whichever it asks for."""
        if principal.role not in self._records.registry.collections[INVOICES].options.may:
            raise NotYourPapersError

    async def invoice(self, principal: Principal, invoice_id: str) -> dict[str, Any]:
        """An invoice's fields in wire form. Raises NotYourPapersError, NoDocumentError."""

        async def work(tx: Tx) -> dict[str, Any]:
            return await self._invoice(tx, principal, invoice_id)

        return await self._database.read(work)

    async def file(self, principal: Principal, invoice_id: str) -> Document:
        """The file that an invoice came in, envelope and all. Raises as `invoice` does."""

        async def work(tx: Tx) -> Document:
            fields = await self._invoice(tx, principal, invoice_id)
            source = fields["source_sha256"]
            ending = "xml" if source is None else "xml.p7m"
            name = file_name(f"fattura-{fields['issued_on']}-{fields['number']}.{ending}")
            return Document(name, await self._content(tx, principal, source or fields["file_sha256"]))

        return await self._database.read(work)

    async def attachment(self, principal: Principal, invoice_id: str, sha256: str) -> Document:
        """An attachment of an invoice. Raises as `invoice` does."""

        async def work(tx: Tx) -> Document:
            fields = await self._invoice(tx, principal, invoice_id)
            for one in fields["attachments"] or ():
                if one.get("sha256") == sha256:
                    return Document(file_name(one["name"]), await self._content(tx, principal, sha256))
            raise NoDocumentError

        return await self._database.read(work)

    async def _invoice(self, tx: Tx, principal: Principal, invoice_id: str) -> dict[str, Any]:
        self.check(principal)
        key = (INVOICES, invoice_id)
        record: Record | None = (await self._records.load(tx, principal.tenant_id, [key])).get(key)
        if record is None or record.deleted or not principal.scope().sees(record.audience):
            raise NoDocumentError
        return dict(record.fields)

    async def _content(self, tx: Tx, principal: Principal, sha256: str | None) -> bytes:
        rows = await tx.fetch(_CONTENT, {"tenant_id": principal.tenant_id, "sha256": sha256 or ""})
        if not rows:
            raise NoDocumentError
        return bytes(rows[0][0])


def file_name(text: str) -> str:
    """A file's name that is one on every system, its ending kept; never a path, never hidden."""
    plain = _UNSAFE.sub("-", text).strip(" .-") or "documento"
    stem, dot, ending = plain.rpartition(".")
    return plain if len(plain) <= _LONGEST_NAME else f"{stem[: _LONGEST_NAME - 20]}{dot}{ending[-10:]}"
