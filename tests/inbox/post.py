"""A shop's post: invoices at a real intermediary, and what polls them."""

from dataclasses import dataclass
from typing import Any

from server.inbox.poll import Polling
from tests.inbox.mailroom import DICE, Mailroom, OpenSecrets, nap
from tests.support import fatture
from tests.support.fatture import Fattura
from tests.support.intermediary import Intermediary


@dataclass
class Company:
    """A company's invoices at the intermediary."""

    intermediary: Intermediary
    company_id: int

    async def add(self, *bodies: Fattura, **more: Any) -> int:
        """A received file; the id it is fetched by."""
        return await self.intermediary.add(fatture.invoice(*bodies), company_id=self.company_id, **more)

    async def lists(self) -> int:
        """How often its list was asked for."""
        calls = await self.intermediary.calls("/v1/receive")
        return len([call for call in calls if call["query"].get("company_id") == str(self.company_id)])

    async def fetches(self, *resources: int) -> int:
        """How often these files were fetched."""
        return sum([len(await self.intermediary.calls(f"/v1/receive/{resource}")) for resource in resources])


def address(room: Mailroom) -> str:
    """Where the intermediary tells the shop."""
    return f"{room.shop.tenant_id.replace('-', '')}.{room.endpoints['sdi'].replace('-', '')}"


def polling(room: Mailroom) -> Polling:
    """What polls, of this process."""
    return Polling(
        database=room.shop.database,
        writer=room.shop.writer,
        sources=room.sources,
        secrets=OpenSecrets(),
        clock=room.shop.clock,
        random=lambda: DICE,
        new_id=room.shop.new_id,
        found=room._wake,
        sleep=nap,
    )


async def numbers(room: Mailroom) -> list[str]:
    """The numbers of the invoices on the owner's phone."""
    return sorted(fields["number"] for fields in await room.records("invoices"))
