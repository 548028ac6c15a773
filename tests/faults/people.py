"""Who makes the load: tills with the real client, and a kiosk that tells of its sales by webhook until it is heard."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
from standardwebhooks import Webhook

from sync.client import SyncClient
from tests.faults.line import BROKEN
from tests.support.shop import line, sale_fields

STUCK = "stuck"
REFUSED = "refused"
"""What a poisoned sale says in its note: the provider fails on it, or will not have it."""

POISONED = (STUCK, REFUSED) * 2
KIOSK = "kiosk"
KIOSK_SECRET = "whsec_a2lvc2stc2VjcmV0LW9mLXRoZS1mYXVsdHMtMDEyMzQ1"
UNUSABLE = "msg_unusable"

_TELL_AGAIN = 0.15
_PATIENCE_S = 1.5
_PAUSE_S = 0.2


class Sold:
    """What one till rang up: ids of sales, and of those voided; what each poisoned one says."""

    def __init__(self) -> None:
        self.sales: list[str] = []
        self.voided: set[str] = set()
        self.notes: dict[str, str] = {}


class Till:
    """A device that sells `pace` times a second, voids and corrects; what it did is on its own disk."""

    def __init__(self, name: str, client: SyncClient, product: str, dice: random.Random) -> None:
        """`product` is what it sells."""
        self.client = client
        self.sold = Sold()
        self._name, self._product, self._dice = name, product, dice

    async def work(self, pace: float) -> None:
        """Sell until cancelled; the first sales are the poisoned ones, and are voided as well."""
        for note in POISONED:
            self._void(self._sell(note))
        while True:
            await anyio.sleep(self._dice.expovariate(pace))
            self._sell()
            if self._dice.random() < 1 / 4:
                self._void(self._dice.choice(self.sold.sales))
            if self._dice.random() < 1 / 4:
                self.client.update("sales", self._dice.choice(self.sold.sales), {"customer_id": None})

    def sell(self, count: int) -> None:
        """Sell so often at once."""
        for _ in range(count):
            self._sell()

    def _sell(self, note: str | None = None) -> str:
        fields = sale_fields(terminal_id=self._name, lines=[line(self._product)], note=note)
        del fields["receipt_no"]
        record_id = self.client.sell(fields).record_id
        self.sold.sales.append(record_id)
        if note is not None:
            self.sold.notes[record_id] = note
        return record_id

    def _void(self, record_id: str) -> None:
        if record_id not in self.sold.voided:
            self.sold.voided.add(record_id)
            self.client.update("sales", record_id, {"status": "voided"})


@dataclass
class Kiosk:
    """A point of sale elsewhere. It tells each sale until it is acknowledged, and some once more."""

    url: str
    product: str
    dice: random.Random
    told: int = 0
    acknowledged: set[str] = field(default_factory=set)
    telling: int = 0

    async def work(self, pace: float, tasks: anyio.abc.TaskGroup) -> None:
        """Sell until cancelled; the telling goes on in `tasks`. One event nobody can use."""
        broken = {"type": "sale.created", "data": {"version": 1, "id": "broken"}}
        tasks.start_soon(self._tell, UNUSABLE, json.dumps(broken))
        while True:
            await anyio.sleep(self.dice.expovariate(pace))
            self.told += 1
            tasks.start_soon(self._tell, f"msg_{self.told}", json.dumps(self._sale(self.told)))

    @property
    def done(self) -> bool:
        """Whether all was heard."""
        return self.telling == 0

    async def _tell(self, event_id: str, body: str) -> None:
        self.telling += 1
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_S) as http:
            for _ in range(1 + (self.dice.random() < _TELL_AGAIN)):
                while not await self._post(http, event_id, body):
                    await anyio.sleep(self.dice.random() * _PAUSE_S)
                self.acknowledged.add(event_id)
        self.telling -= 1

    async def _post(self, http: httpx.AsyncClient, event_id: str, body: str) -> bool:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(KIOSK_SECRET).sign(event_id, now, body),
        }
        try:
            return (await http.post(self.url, content=body, headers=headers)).is_success
        except BROKEN:
            return False

    def _sale(self, number: int) -> dict[str, Any]:
        fields = sale_fields(number, lines=[line(self.product)])
        told = {"version": 1, "id": f"sale-{number}", "terminal": KIOSK, "receipt": number}
        del fields["terminal_id"], fields["receipt_no"]
        return {"type": "sale.created", "data": told | fields}
