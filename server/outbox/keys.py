"""The idempotency key: derived from what a delivery is about, never from a row: a restored server sends the same."""

from hashlib import sha256

PREFIX = "rnt_"


def idempotency_key(tenant_id: str, uid: str, route: str, endpoint_id: str, step: str) -> str:
    """`rnt_` and the hex SHA-256 over the parts, each in UTF-8 after its length in 4 bytes, big end first.

    `uid` is the mutation's, `endpoint_id` the one first bound: a delivery sent through another keeps its key. `step` is
    the operation: a route of several calls has a key for each.
    """
    parts = [part.encode() for part in (tenant_id, uid, route, endpoint_id, step)]
    return PREFIX + sha256(b"".join([len(part).to_bytes(4, "big") + part for part in parts])).hexdigest()


def delivery_id(uid: str, key: str) -> str:
    """A delivery's id: a uuid (version 8) of the mutation's time and the key's hash.

    It follows from the delivery's content, so it is the same after a restore, and it sorts by time, so that new rows go
    to the end of their index.
    """
    digest = key[len(PREFIX) :]
    return f"{uid[:13]}-8{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"
