"""A till in a process of its own, to be killed: it sells without pause and prints each sale once it is stored.

python -m tests.client.selling <database> [<server's address>]
"""

import json
import sys

import anyio

from sync.client import Options, SyncClient
from tests.client.samples import COLLECTIONS, sale


async def main(*arguments: str) -> None:
    """Sell for ever, and sync beside it where there is a server."""
    path, url = (*arguments, "")[:2]
    options = Options(collections=COLLECTIONS, batch=5, interval_s=0.05)
    async with SyncClient(path, url, "owner:till", options) as client, anyio.create_task_group() as tasks:
        if url:
            tasks.start_soon(client.run)
        while True:
            made = client.sell(sale())
            sys.stdout.write(json.dumps([made.uid, made.mutation_id, made.number]) + "\n")
            sys.stdout.flush()
            await anyio.sleep(0.001 if url else 0)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
