"""One process of callers who all use the same account: each has its token refused again and again.

`python -m tests.credentials.caller DATABASE_URL FOLDER TENANT ENDPOINT CALLERS ROUNDS`; prints what it got as JSON.
"""

import json
import os
import random
import sys
from pathlib import Path

import anyio

from server.app.core import now_ms, open_core
from server.app.outside import open_outside
from server.credentials.tokens import Place
from server.ops.logs import set_up_logs
from server.outbox.claim import Endpoint
from server.ports import Account
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement

_ROW = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)


async def run(place: Place, callers: int, rounds: int) -> None:
    """Call until every caller had its rounds, or an error."""
    set_up_logs("ERROR")
    settings = Settings(allow_loopback=True)
    seen: set[str] = set()
    errors: list[str] = []

    async with open_core(settings, migrate=False) as core, open_outside(core, settings) as outbound:

        async def work(tx: Tx) -> Endpoint:
            return Endpoint(*(await tx.fetch(_ROW, place))[0])

        found = await core.database.read(work)
        opened = core.credentials.secrets.unseal(place.tenant_id, found.provider, place.endpoint_id, found.sealed)
        account = Account(*place, json.loads(found.settings), opened)

        async def caller() -> None:
            token: str | None = None
            try:
                for _ in range(rounds):
                    token = await outbound._tokens.token(account, refused=token)
                    seen.add(token)
                    await anyio.sleep(random.random() * 0.005)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test is about
                errors.append(repr(error))

        started = now_ms()
        async with anyio.create_task_group() as tasks:
            for _ in range(callers):
                tasks.start_soon(caller)
        sys.stdout.write(json.dumps({"tokens": sorted(seen), "errors": errors, "ms": now_ms() - started}) + "\n")


if __name__ == "__main__":
    os.environ |= {"RIENTRO_DATABASE_URL": sys.argv[1], "RIENTRO_DATA": str(Path(sys.argv[2]))}
    anyio.run(run, Place(*sys.argv[3:5]), int(sys.argv[5]), int(sys.argv[6]), backend_options={"use_uvloop": True})
