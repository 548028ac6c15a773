"""Provider `sdicoop`: the SDI itself, for whoever has a channel of their own accredited with it.

`send` promises `once`: SDI cannot be asked whether it has a file. What is ambiguous ends in doubt, and its receipt
resolves that, for it names the file; only where none comes a person sends again (SDI discards a name it knows).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from server.adapter import Health
from server.mapping import PayloadMapping
from server.outbound import MAX_ANSWER_BYTES, Credentials, Outbound
from server.ports import Account, Answer, Call, Operation, Poller, WebhookScheme
from server.providers.sdi.coop.client import TIMEOUT_S, SdiCoopClient, Taken
from server.providers.sdi.coop.conversation import SdiConversation
from server.providers.sdi.coop.scheme import SdiCoopScheme, fingerprints
from server.providers.sdi.mapping import INVOICE
from server.providers.sdi.seller import SellerSettings
from server.providers.sdi.writer import UnwritableInvoiceError, write_invoice
from server.resilience.errors import PermanentError
from server.resilience.limits import Limits


class SdiCoopSettings(Limits, Credentials, SellerSettings):
    """An endpoint's settings: limits, `client_certificate` and `trusted_roots` towards SDI, the seller.

    `sdi_url` is where files are handed over. `sdi_certificates` (PEM, one or several while they are renewed) are those
    that SDI's own calls show: any other is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sdi_url: Annotated[str, Field(max_length=2000)] = "https://servizi.fatturapa.it/ricevi_file"
    sdi_certificates: Annotated[str, Field(max_length=100_000)]
    scheme: Literal["sdicoop"] = "sdicoop"

    @field_validator("sdi_certificates")
    @classmethod
    def _are_sdis_certificates(cls, pem: str) -> str:
        try:
            fingerprints(pem)
        except ValueError:
            raise ValueError("there is no certificate in it: PEM, those that SDI shows") from None
        return pem


class SdiCoopProvider:
    """SDI by SOAP."""

    name = "sdicoop"
    settings = SdiCoopSettings

    def __init__(self, outbound: Outbound, _clock: Callable[[], int]) -> None:
        """`outbound` makes the requests."""
        self._outbound, self._client = outbound, SdiCoopClient(outbound)
        self._operations = {"send": Operation("once", self._send)}
        self._schemes: dict[str, WebhookScheme] = {"sdicoop": SdiCoopScheme()}
        self.conversation = SdiConversation()

    def operations(self) -> Mapping[str, Operation]:
        """`send`."""
        return self._operations

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """`sdicoop`."""
        return self._schemes

    def pollers(self) -> Mapping[str, Poller]:
        """None: SDI tells, and cannot be asked."""
        return {}

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """An invoice, as by an intermediary."""
        return (INVOICE,)

    async def health(self, account: Account) -> Health:
        """Ask for the service's description: it takes the handshake with our certificate, and nothing more."""
        url = f"{account.settings['sdi_url']}?wsdl"
        reply = await self._outbound.get(url, {"Accept": "text/xml"}, TIMEOUT_S, MAX_ANSWER_BYTES, account)
        said = "it takes our certificate" if reply.is_success else f"it answers {reply.status}"
        return Health(reply.is_success, said, reply.status)

    async def _send(self, call: Call) -> Answer:
        fields = json.loads(call.payload)["data"]["fields"]
        try:
            content = write_invoice(fields)
        except UnwritableInvoiceError:
            raise PermanentError("unwritable_invoice") from None
        result = await self._client.hand_over(call.account, fields["file_name"], content)
        if isinstance(result, Taken):
            return Answer(200, reference=result.sdi_id)
        return Answer(result.status, retry_after=result.retry_after, date=result.date)
