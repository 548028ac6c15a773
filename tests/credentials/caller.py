"""One process of callers who all use the same account: each has its token refused again and again.

`python -m tests.credentials.caller DATABASE_URL FOLDER TENANT ENDPOINT CALLERS ROUNDS`; prints what it got as JSON.
"""

import json
import os
import random
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from server.credentials.access import open_access
from server.credentials.keyring import KeyFile
from server.credentials.tokens import Place, TokenStore
from server.credentials.vault import Vault
from server.ops.logs import set_up_logs
from server.outbound import open_outbound
from server.ports import Account
from server.storage.database import Database, Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Writer

_ROW = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000


async def run(place: Place, callers: int, rounds: int) -> None:
    """Call until every caller had its rounds, or an error."""
    set_up_logs("ERROR")
    seen: set[str] = set()
    errors: list[str] = []
    database, vault = open_database(sys.argv[1]), Vault(KeyFile(Path(sys.argv[2]) / "secret.key"))
    writer = Writer(database, clock=now_ms, nonce=lambda: secrets.token_hex(8))
    store = TokenStore(database, writer, vault, now_ms, random.random)
    account = await _account(database, vault, place)
    async with (
        anyio.create_task_group() as writing,
        open_outbound(allow_loopback=True) as outbound,
        open_access(store, outbound, owner=str(os.getpid()), clock=now_ms) as access,
    ):
        writing.start_soon(writer.run)

        async def caller() -> None:
            token: str | None = None
            try:
                for _ in range(rounds):
                    token = await access.token(account, refused=token)
                    seen.add(token)
                    await anyio.sleep(random.random() * 0.005)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test is about
                errors.append(repr(error))

        started = now_ms()
        async with anyio.create_task_group() as tasks:
            for _ in range(callers):
                tasks.start_soon(caller)
        writing.cancel_scope.cancel()
    sys.stdout.write(json.dumps({"tokens": sorted(seen), "errors": errors, "ms": now_ms() - started}) + "\n")
    await database.close()


async def _account(database: Database, vault: Vault, place: Place) -> Account:
    async def work(tx: Tx) -> Sequence[Any]:
        return (await tx.fetch(_ROW, place))[0]

    provider, settings, sealed = await database.read(work)
    return Account(*place, json.loads(settings), vault.unseal(place.tenant_id, provider, place.endpoint_id, sealed))


if __name__ == "__main__":
    anyio.run(run, Place(*sys.argv[3:5]), int(sys.argv[5]), int(sys.argv[6]), backend_options={"use_uvloop": True})
