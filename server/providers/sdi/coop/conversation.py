"""The conversation with SDI: a SOAP message in, ER01 or an empty envelope out, a fault where it could not be kept."""

from collections.abc import Mapping

from server.ports import Heard, UnheardError
from server.providers.sdi.coop.soap import SoapMessageError, fault, noted, parse_message, taken

MAX_BYTES = 10 * 1024 * 1024
"""A file of 5 MiB, SDI's limit, and its metadata, both in base64, and some."""


class SdiConversation:
    """Services `RicezioneFatture` and `TrasmissioneFatture`, at one address."""

    media_type = "text/xml"
    max_bytes = MAX_BYTES

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """Take a message apart. Raises UnheardError."""
        try:
            told = parse_message(headers.get("content-type", ""), body)
        except SoapMessageError as error:
            raise UnheardError(fault("Client", str(error))) from None
        return Heard(told.kept(), taken() if told.heard == "invoice" else noted())

    def excuse(self, *, ours: bool) -> bytes:
        """A fault."""
        if ours:
            return fault("Server", "it could not be kept: send it again")
        return fault("Client", "this certificate is not known here")
