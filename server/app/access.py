"""What lets people, devices and programs in, put together."""

from collections.abc import Callable
from typing import NamedTuple

from server.auth.admin import Admin
from server.auth.ceremonies import Site
from server.auth.challenges import Challenges
from server.auth.codes import Codes
from server.auth.directory import Directory
from server.auth.entrance import Entrance
from server.auth.errors import AccessError
from server.auth.guard import Guard
from server.auth.guesses import Guesses
from server.auth.invites import Doors, Invites
from server.auth.keys import Keys
from server.auth.pairing import Desk, Pairing
from server.auth.passkeys import Passkeys
from server.auth.passwords import Passwords
from server.auth.people import People
from server.auth.sessions import Sessions
from server.auth.sign_in import SignIn
from server.auth.signed import SignedRequests
from server.auth.signer import Signer
from server.auth.tokens import RefreshTokens
from server.credentials.vault import API_KEY, REFRESH, SealedError, Vault
from server.ids import uuid7
from server.routes.state import Access
from server.storage.database import Database
from server.storage.writer import Writer


class Means(NamedTuple):
    """What it stands on: `clock` gives milliseconds, `new_id` uuids of version 7."""

    database: Database
    writer: Writer
    vault: Vault
    clock: Callable[[], int]
    new_id: Callable[[], str] = uuid7
    passwords: Passwords | None = None


class _Seals:
    """Seals the secrets that API keys sign by."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, tenant_id: str, key_id: str, secret: str) -> str:
        """For its row."""
        return self._vault.seal(tenant_id, API_KEY, key_id, {"signing": secret})

    def unseal(self, tenant_id: str, key_id: str, sealed: str) -> str:
        """Of its row. Raises AccessError (secrets_do_not_open)."""
        try:
            return self._vault.unseal(tenant_id, API_KEY, key_id, sealed)["signing"]
        except SealedError:
            raise AccessError("secrets_do_not_open", "The server cannot read its secrets.", status=503) from None


def make_access(public_url: str | None, means: Means) -> Access:
    """Everything of one process."""
    database, writer, vault, clock, new_id, passwords = means
    signer = Signer(vault.derive, public_url or "rientro", clock)
    seals = _Seals(vault)
    keys = Keys(database, writer, new_id, clock, seals.seal)
    sessions = Sessions(writer, signer, RefreshTokens(lambda: vault.derive(REFRESH)), new_id)
    admin = Admin(database, writer, keys, new_id)
    people = People(database, writer, sessions, new_id)
    entrance, passwords, codes = Entrance(admin, sessions, new_id), passwords or Passwords(), Codes(vault.derive)
    sign_in = SignIn(writer, passwords, entrance, sessions)
    site, challenges = Site.of(public_url), Challenges(vault.derive, clock)
    return Access(
        signer=signer,
        keys=keys,
        sessions=sessions,
        guard=Guard(database, signer, keys, clock),
        requests=SignedRequests(writer, seals.unseal, clock),
        admin=admin,
        people=people,
        entrance=entrance,
        sign_in=sign_in,
        invites=Invites(database, writer, codes, Doors(people, sign_in, entrance, passwords), clock),
        pairing=Pairing(writer, codes, Guesses(vault.derive), Desk(admin, sessions, entrance), new_id),
        passkeys=Passkeys(database, writer, site, challenges, entrance),
        directory=Directory(database),
        public_url=public_url,
        clock=clock,
    )
