"""Codes and links nobody took yet: void when whoever made them is out.

Else who had a stolen session or key for a minute would come in again by what they made with it. Void are what a person
or device made, and what was made for that person; whoever is still in makes another one.
"""

from server.storage.statement import Statement
from server.storage.writer import Writing

_OF_PERSON = Statement(
    """DELETE FROM invites WHERE tenant_id = :tenant_id AND used_at IS NULL
       AND (person_id = :person_id OR made_by = :person_id OR (kind = 'pair' AND made_by IN (
       SELECT s.device_id FROM sessions AS s WHERE s.tenant_id = invites.tenant_id AND s.person_id = :person_id)))"""
)
_OF_DEVICE = Statement("DELETE FROM invites WHERE tenant_id = :tenant_id AND used_at IS NULL AND made_by = :device_id")
_OF_KEY = Statement(
    """DELETE FROM invites WHERE tenant_id = :tenant_id AND used_at IS NULL AND made_by = (
       SELECT k.device_id FROM keys AS k WHERE k.tenant_id = invites.tenant_id AND k.key_id = :key_id)"""
)
_WHOSE = Statement(
    "SELECT device_id, person_id FROM sessions WHERE tenant_id = :tenant_id AND session_id = :session_id"
)


async def void_of_person(writing: Writing, tenant_id: str, person_id: str) -> None:
    """What is for a person, what they made, and what was shown where they were signed in."""
    await writing.tx.execute(_OF_PERSON, {"tenant_id": tenant_id, "person_id": person_id})


async def void_of_session(writing: Writing, tenant_id: str, session_id: str) -> None:
    """What its device made, and all of its person's."""
    rows = await writing.tx.fetch(_WHOSE, {"tenant_id": tenant_id, "session_id": session_id})
    for device_id, person_id in rows:
        await writing.tx.execute(_OF_DEVICE, {"tenant_id": tenant_id, "device_id": device_id})
        if person_id is not None:
            await void_of_person(writing, tenant_id, person_id)


async def void_of_key(writing: Writing, tenant_id: str, key_id: str) -> None:
    """What its device made."""
    await writing.tx.execute(_OF_KEY, {"tenant_id": tenant_id, "key_id": key_id})
