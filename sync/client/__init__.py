"""The client: what a till, the demonstration and the tests use. `SyncClient` is the door.

async with SyncClient("till.db", "https://shop.example", token, Options(collections=("sales", "products"))) as till:
    till.sell({"terminal_id": "cassa-1", ...})     # on disk, and on the screen, at return
    await till.drain()                             # or keep `till.run()` going
"""

from sync.client.client import Status, SyncClient
from sync.client.draft import Draft, Number
from sync.client.entries import Entry
from sync.client.loop import Moment
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.store import Made, Store
from sync.client.taking import Taken
from sync.client.view import ViewRecord

__all__ = [
    "Draft",
    "Entry",
    "Made",
    "Moment",
    "Number",
    "Options",
    "Runtime",
    "Status",
    "Store",
    "SyncClient",
    "Taken",
    "ViewRecord",
]
