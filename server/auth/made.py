"""What an owner made that lets in without them: keys, and owners' devices on which nobody is signed in.

Rules:

1. They saw the token, or hold the device: when they are an owner no more, it is out with them.
2. So is what was made by it in turn. `made_by` is a person, or the device of a key that made it.
"""

from server.audit import Actor, Entry, note
from server.auth.void import void_of_person
from server.storage.statement import Statement
from server.storage.writer import Writing

_MAKERS = """WITH RECURSIVE makers(maker_id) AS (SELECT {person} UNION
       SELECT made.device_id FROM makers JOIN (
         SELECT device_id, made_by FROM keys WHERE tenant_id = :tenant_id UNION ALL
         SELECT device_id, made_by FROM devices WHERE tenant_id = :tenant_id AND role = 'owner'
       ) AS made ON made.made_by = makers.maker_id)"""
_MADE = "tenant_id = :tenant_id AND revoked_at IS NULL AND made_by IN (SELECT maker_id FROM makers)"


def _both(text: str) -> Statement:
    lite, post = (_MAKERS.format(person=name) for name in (":person_id", "CAST(:person_id AS uuid)"))
    return Statement(f"{lite} {text}", postgresql=f"{post} {text}")


_KEYS = _both(f"UPDATE keys SET revoked_at = :now WHERE {_MADE} RETURNING key_id")  # noqa: S608  # our own text
_DEVICES = _both(
    f"UPDATE devices SET revoked_at = :now WHERE {_MADE} AND role = 'owner' RETURNING device_id"  # noqa: S608
)


async def revoke_made(writing: Writing, tenant_id: str, person_id: str, actor: Actor) -> None:
    """Let in no more what a person made, in the transaction that takes them out. The caller moves the revision."""
    named = {"tenant_id": tenant_id, "person_id": person_id, "now": writing.now}
    for (key_id,) in await writing.tx.fetch(_KEYS, named):
        await note(writing, tenant_id, Entry("key.revoke", actor, "key", key_id))
    for (device_id,) in await writing.tx.fetch(_DEVICES, named):
        await note(writing, tenant_id, Entry("device.revoke", actor, "device", device_id))
    await void_of_person(writing, tenant_id, person_id)
