"""A merchant whose people and devices come in: what lets them in, on the engine of `shop`, with its clock."""

from dataclasses import dataclass

from server.audit import Actor
from server.auth.guard import Guard
from server.auth.keys import Keys
from server.auth.people import People
from server.auth.sessions import Issued, Sessions
from server.auth.signer import Signer
from server.auth.tokens import RefreshTokens
from server.credentials.vault import REFRESH, Vault
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.support.shop import Shop

NOBODY = Actor("nobody", origin="192.0.2.0/24")
_AUDIT = Statement("SELECT action, outcome, reason FROM audit WHERE tenant_id = :tenant_id ORDER BY at, entry_id")


@dataclass
class Desk:
    """Everything that lets somebody in."""

    shop: Shop
    vault: Vault
    signer: Signer
    keys: Keys
    sessions: Sessions
    guard: Guard
    people: People

    async def sign_in(self, device_id: str, person_id: str | None = None) -> Issued:
        """A session on a device."""

        async def job(writing: Writing) -> Issued:
            return await self.sessions.open(writing, self.shop.tenant_id, device_id, person_id)

        return await self.shop.writer.submit(Job([self.shop.tenant_id], job))

    async def is_let_in(self, bearer: str) -> bool:
        """Whether it is, as it is stored now."""
        return await self.guard.now(bearer) is not None

    async def audit(self) -> list[tuple[str, str, str | None]]:
        """What was noted: action, outcome, reason."""

        async def work(tx: Tx) -> list[tuple[str, str, str | None]]:
            return [tuple(row) for row in await tx.fetch(_AUDIT, (self.shop.tenant_id,))]

        return await self.shop.database.read(work)


def desk_of(shop: Shop, master: bytes = b"m" * 32) -> Desk:
    """A process's own; another master key is another installation."""
    vault = Vault.of(master)
    signer = Signer(vault.derive, "https://shop.example", shop.clock)
    keys = Keys(shop.database, shop.writer, shop.new_id, shop.clock)
    sessions = Sessions(shop.writer, signer, RefreshTokens(lambda: vault.derive(REFRESH)), shop.new_id)
    return Desk(
        shop=shop,
        vault=vault,
        signer=signer,
        keys=keys,
        sessions=sessions,
        guard=Guard(shop.database, signer, keys, shop.clock),
        people=People(shop.database, shop.writer, sessions, shop.new_id),
    )
