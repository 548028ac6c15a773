"""The tables that are not collections. Every key begins with the tenant: a distributed PostgreSQL can shard by it.

What later issues need has its column from the start (`purged_through`, `departures`, `marks`): a migration can add, but
cannot make up a history that was not kept.
"""

from server.storage.tables import (
    access,
    accounts,
    files,
    inbox,
    issuing,
    outbox,
    privacy,
    reconcile,
    sync,
    tenants,
    webpush,
)

__all__ = [
    "access",
    "accounts",
    "files",
    "inbox",
    "issuing",
    "outbox",
    "privacy",
    "reconcile",
    "sync",
    "tenants",
    "webpush",
]
