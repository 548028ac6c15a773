"""The client of `SdIRiceviFile`: zeep writes the message and reads the answer, our own way out carries it.

zeep's own transport would read proxies, roots and credentials from the environment; ours shows the account's
certificate, trusts the account's roots, and connects to nothing it must not. zeep and lxml are loaded at the first use:
most processes never send by SDICoop.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from anyio import to_thread

from server.outbound import Outbound
from server.ports import Account
from server.resilience.errors import PermanentError, TransientError, UnknownError

WSDL = Path(__file__).parent / "sdicoop.wsdl"
ACTION = "http://www.fatturapa.it/SdIRiceviFile/RiceviFile"
TIMEOUT_S = 25
OK, UNAVAILABLE, FAULT = 200, 503, 500


class Taken(NamedTuple):
    """SDI took a file: the IdentificativoSdI it will speak of it by."""

    sdi_id: str


class Unanswered(NamedTuple):
    """An answer that is no SOAP: its status, and what it says of when to come again."""

    status: int
    retry_after: str | None
    date: str | None


class SdiCoopClient:
    """Hands files over."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` makes the requests."""
        self._outbound = outbound

    async def hand_over(self, account: Account, file_name: str, content: bytes) -> Taken | Unanswered:
        """RiceviFile. Raises OutboundError; a DeliveryError for what SDI says instead of taking it.

        EI01 (empty) and EI03 (not enabled) are permanent, EI02 (not available) passes. Of a fault of its side, and of
        an answer nobody can read, it is not known whether the file was taken.
        """
        body = await to_thread.run_sync(_written, file_name, content)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{ACTION}"', "Accept": "text/xml"}
        reply = await self._outbound.post(str(account.settings["sdi_url"]), body, headers, TIMEOUT_S, account)
        if reply.status == UNAVAILABLE:
            raise TransientError("unavailable", retry_after=reply.headers.get("retry-after"))
        if reply.status not in {OK, FAULT}:
            return Unanswered(reply.status, reply.headers.get("retry-after"), reply.headers.get("date"))
        if not reply.body:
            raise UnknownError("unreadable_answer", maybe_done=True)
        return await to_thread.run_sync(_read, _Response(reply.status, reply.headers, reply.body))


class _Response(NamedTuple):
    """An answer as zeep wants it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    encoding: str = "utf-8"


@cache
def _client() -> Any:
    """The contract, read once. It is ours and lies beside us: nothing is fetched."""
    from zeep import Client, Settings  # noqa: PLC0415  see above

    strict = Settings(forbid_dtd=True, forbid_entities=True)
    return Client(str(WSDL), port_name="SdIRiceviFile", settings=strict)  # type: ignore[no-untyped-call]


def _written(file_name: str, content: bytes) -> bytes:
    from lxml import etree  # noqa: PLC0415  see above

    client = _client()
    message = client.create_message(client.service, "RiceviFile", NomeFile=file_name, File=content)
    written: bytes = etree.tostring(message, encoding="utf-8", xml_declaration=True)
    return written


def _read(response: _Response) -> Taken:
    from zeep.exceptions import Error, Fault  # noqa: PLC0415  see above

    client = _client()
    binding = client.service._binding  # noqa: SLF001  zeep reads answers of its own transport only
    try:
        said = binding.process_reply(client, binding.get("RiceviFile"), response)
        error, sdi_id = said.Errore, said.IdentificativoSdI
    except Fault as fault:
        is_ours = str(fault.code or "").rpartition(":")[2] in {"Client", "VersionMismatch", "MustUnderstand"}
        raise (PermanentError("soap_fault") if is_ours else UnknownError("soap_fault", maybe_done=True)) from None
    except (Error, AttributeError, ValueError, TypeError):
        raise UnknownError("unreadable_answer", maybe_done=True) from None
    return _taken(error, sdi_id)


def _taken(error: str | None, sdi_id: int | None) -> Taken:
    match (error or "").strip():
        case "" if sdi_id:
            return Taken(str(sdi_id))
        case "EI01":
            raise PermanentError("ei01_empty_file")
        case "EI02":
            raise TransientError("ei02_unavailable")
        case "EI03":
            raise PermanentError("ei03_not_enabled")
        case _:
            raise UnknownError("unreadable_answer", maybe_done=True)
