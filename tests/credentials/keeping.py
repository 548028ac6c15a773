"""A merchant with an account that has credentials: the real core and the real way out, on a clock moved by hand."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from pydantic import BaseModel

from server.app.core import now_ms
from server.auth.admin import Admin
from server.auth.keys import Keys as ApiKeys
from server.credentials.access import AccessTokens, open_access
from server.credentials.consents import Consents
from server.credentials.dates import Dates
from server.credentials.endpoints import Endpoints
from server.credentials.keyring import KeyFile
from server.credentials.keys import Keys
from server.credentials.oauth import Granted
from server.credentials.rotation import Rotation
from server.credentials.schedule import EndpointSecrets
from server.credentials.tokens import Place, TokenStore
from server.credentials.vault import Vault
from server.outbound import Outbound, open_outbound
from server.ports import Account
from server.providers.http import HttpProvider
from server.providers.pos.provider import PosProvider
from server.storage.database import Database, Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Writer
from tests.support.receiver import SECRET
from tests.support.shop import Clock, Ids

_ROW = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)
FORMS: dict[str, type[BaseModel]] = {"http": HttpProvider.settings, "pos": PosProvider.settings}


@dataclass
class Keeper:
    """Everything that keeps credentials, as the composition root makes it."""

    database: Database
    writer: Writer
    clock: Clock
    ring: KeyFile
    vault: Vault
    endpoints: Endpoints
    keys: Keys
    store: TokenStore
    consents: Consents
    dates: Dates
    rotation: Rotation
    outbound: Outbound
    access: AccessTokens
    tenant_id: str = ""

    async def endpoint(self, provider: str = "http", **values: str) -> Place:
        """A new account."""
        known = {"url": "https://example.com/hook", "secret": SECRET} if provider == "http" else {}
        made = await self.endpoints.add(self.tenant_id, provider, "Ufficio", {**known, **values})
        return Place(self.tenant_id, made.endpoint_id)

    async def account(self, place: Place) -> Account:
        """As relay and inbox open it."""
        provider, settings, sealed = (await self.fetch(_ROW, *place))[0]
        opened = EndpointSecrets(self.vault, self.clock).unseal(place.tenant_id, provider, place.endpoint_id, sealed)
        return Account(*place, json.loads(settings), opened)

    async def fetch(self, statement: Statement, *parameters: Any) -> list[Any]:
        """Rows."""

        async def work(tx: Tx) -> list[Any]:
            return list(await tx.fetch(statement, parameters))

        return await self.database.read(work)

    async def connected(self, url: str, **values: str) -> tuple[Place, Account]:
        """An account with the tokens a consent gave: an access token good for 1,000 s."""
        place = await self.endpoint(**oauth(url), **values)
        await self.store.connect(place, Granted("access-1", "refresh-1", 1000), self.clock())
        return place, await self.account(place)


def oauth(url: str, grant: str = "authorization_code") -> dict[str, str]:
    """Settings for a token endpoint."""
    return {
        "url": f"{url}/hook",
        "oauth_grant": grant,
        "oauth_authorize_url": f"{url}/auth",
        "oauth_token_url": f"{url}/token",
        "oauth_client_id": "rientro",
        "oauth_client_secret": "secret of+the/client=",
        "oauth_scope": "openid offline_access",
    }


async def settled(keeper: Keeper) -> None:
    """No renewal is under way."""
    with anyio.fail_after(5):
        while keeper.access._running:
            await anyio.sleep(0.002)


@asynccontextmanager
async def open_keeper(url: str, folder: Path, *, real_time: bool = False) -> AsyncIterator[Keeper]:
    """A keeper on a migrated database."""
    clock, new_id = Clock(), Ids(3)
    if real_time:
        clock.ms = now_ms()
    database = open_database(url)
    writer = Writer(database, clock=clock, nonce=lambda: new_id().replace("-", ""))
    ring = KeyFile(folder / "secret.key")
    vault = Vault(ring)
    store = TokenStore(database, writer, vault, clock, lambda: 0.5)
    secrets = EndpointSecrets(vault, clock)
    async with anyio.create_task_group() as tasks, open_outbound(allow_loopback=True) as outbound:
        tasks.start_soon(writer.run)
        async with open_access(store, outbound, owner="one", clock=clock) as access:
            outbound.authorize_with(access)
            keeper = Keeper(
                database=database,
                writer=writer,
                clock=clock,
                ring=ring,
                vault=vault,
                endpoints=Endpoints(database, writer, vault, FORMS, (), new_id),
                keys=Keys(writer, vault, FORMS, clock),
                store=store,
                consents=Consents(database, writer, vault, secrets, store),
                dates=Dates(database),
                rotation=Rotation(database, writer, vault, ring),
                outbound=outbound,
                access=access,
            )
            keeper.tenant_id = await Admin(
                database, writer, ApiKeys(database, writer, new_id, clock), new_id
            ).add_tenant("Bar Centrale")
            yield keeper
        tasks.cancel_scope.cancel()
    await database.close()
