"""Those who tell the shop something: a kiosk with a point of sale of its own, and the invoices' intermediary.

Each delivers twice, as real ones do, and somebody forges. The kiosk writes down what it sold in a file of its own; the
intermediary keeps its own file as well. Those two are the checker's, not this program's variables.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.demo.evidence import KIOSK_FILE
from tests.demo.goods import sale_fields
from tests.support.fatture import lot
from tests.support.intermediary import Intermediary

KIOSK = "kiosk"
KIOSK_SECRET = "whsec_a2lvc2stc2VjcmV0LW9mLXRoZS1kZW1vbnN0cmF0aW9u"
FORGED_SECRET = "whsec_c29tZWJvZHktZWxzZS1lbnRpcmVseS0wMTIzNDU2Nzg5"
BODIES = 3
SDI_ID = "9876543210"


@dataclass(frozen=True)
class Kiosk:
    """A point of sale that sends Standard Webhooks to `url`, and keeps its file in `folder`."""

    folder: Path
    url: str
    seed: int
    products: Mapping[str, str]

    async def sell(self) -> list[int]:
        """Sell once and tell it twice; the statuses."""
        told = self._sale(1)
        statuses = [await self._tell("msg_kiosk_1", told, KIOSK_SECRET) for _ in range(2)]
        self._note(told, statuses, forged=False)
        return statuses

    async def forge(self) -> list[int]:
        """Somebody else tells of a sale that never was; the status."""
        told = self._sale(2)
        statuses = [await self._tell("msg_kiosk_2", told, FORGED_SECRET)]
        self._note(told, statuses, forged=True)
        return statuses

    def _note(self, told: Mapping[str, Any], statuses: Sequence[int], *, forged: bool) -> None:
        with (self.folder / KIOSK_FILE).open("a") as file:
            file.write(json.dumps({"told": told, "statuses": statuses, "forged": forged}) + "\n")

    def _sale(self, number: int) -> dict[str, Any]:
        fields = sale_fields(self.seed, KIOSK, number, self.products)
        told = {"version": 1, "id": f"sale-{number}", "terminal": fields.pop("terminal_id"), "receipt": number}
        return {"type": "sale.created", "data": told | fields}

    async def _tell(self, event_id: str, told: Mapping[str, Any], secret: str) -> int:
        now, content = datetime.now(UTC), json.dumps(told)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(event_id, now, content),
        }
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            return (await http.post(self.url, content=content, headers=headers)).status_code


async def tell_of_invoices(intermediary: Intermediary, url: str) -> list[int]:
    """A file of three invoices has come; tell of it twice, but hand it out to nobody yet. The statuses."""
    await intermediary.behave("status", status=503)
    file_id = await intermediary.add(lot(BODIES), SDI_ID)
    return [*await intermediary.tell(url, file_id, times=2)]
