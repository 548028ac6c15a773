"""A merchant whose people and devices come in: what lets them in, on the engine of `shop`, with its clock."""

from dataclasses import dataclass

from argon2 import PasswordHasher

from server.app.access import Means, make_access
from server.audit import Actor
from server.auth.entrance import Place
from server.auth.guard import Guard
from server.auth.invites import Taking
from server.auth.keys import Keys
from server.auth.passwords import Passwords
from server.auth.people import NewPerson, People
from server.auth.sessions import Issued, Sessions
from server.auth.signed import SignedRequests
from server.auth.signer import Signer
from server.credentials.vault import Vault
from server.routes.state import Access
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.support.shop import Shop

PASSWORD = "un caffè lungo"
NOBODY = Actor("nobody", origin="192.0.2.0/24")
_AUDIT = Statement("SELECT action, outcome, reason FROM audit WHERE tenant_id = :tenant_id ORDER BY at, entry_id")


@dataclass
class Desk:
    """Everything that lets somebody in."""

    shop: Shop
    vault: Vault
    access: Access
    signer: Signer
    keys: Keys
    sessions: Sessions
    guard: Guard
    people: People
    requests: SignedRequests

    async def sign_in(self, device_id: str, person_id: str | None = None) -> Issued:
        """A session on a device."""

        async def job(writing: Writing) -> Issued:
            return await self.sessions.open(writing, self.shop.tenant_id, device_id, person_id)

        return await self.shop.writer.submit(Job([self.shop.tenant_id], job))

    async def person(
        self, name: str, role: str = "clerk", shop: str = "centro", password: str | None = PASSWORD
    ) -> str:
        """Somebody with a login of their name and a password, unless None."""
        person_id = await self.people.add(self.shop.tenant_id, NewPerson(name, role, shop, name.lower()), NOBODY)
        if password is not None:
            invite = await self.access.invites.make(self.shop.tenant_id, person_id, NOBODY)
            taking = Taking(password=password)
            await self.access.invites.take(token_of(invite.link), taking, Place(f"{name} al banco"), NOBODY)
        return person_id

    async def is_let_in(self, bearer: str) -> bool:
        """Whether it is, as it is stored now."""
        return await self.guard.now(bearer) is not None

    async def audit(self) -> list[tuple[str, str, str | None]]:
        """What was noted: action, outcome, reason."""

        async def work(tx: Tx) -> list[tuple[str, str, str | None]]:
            return [tuple(row) for row in await tx.fetch(_AUDIT, (self.shop.tenant_id,))]

        return await self.shop.database.read(work)


def desk_of(shop: Shop, master: bytes = b"m" * 32) -> Desk:
    """A process's own; another master key is another installation. Passwords are hashed as cheaply as can be."""
    vault = Vault.of(master)
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    means = Means(shop.database, shop.writer, vault, shop.clock, shop.new_id, passwords)
    access = make_access("https://shop.example", means)
    return Desk(
        shop=shop,
        vault=vault,
        access=access,
        signer=access.signer,
        keys=access.keys,
        sessions=access.sessions,
        guard=access.guard,
        requests=access.requests,
        people=access.people,
    )


def token_of(link: str) -> str:
    """What a link of the application carries."""
    return link.partition("=")[2]
