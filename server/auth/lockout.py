"""The lock before passwords: who guesses waits, longer each time.

Rules:

1. A try is counted before its password is looked at, under the tenant's lock: guesses that come at once are as many
   as guesses that come one after the other, whichever process they come to.
2. The first `FREE` cost nothing; after the next one nobody gets in by password for two seconds, then four, up to an
   hour. Then it is some twenty guesses a day, for ever; a passkey is let in all the while.
3. During that time a right password is refused like a wrong one, and is not counted: else guessing could go on and be
   told when it was right, and whoever guesses could lock somebody out for good.
4. A right password sets the count back. Of more than six that come for one person at the very same moment some are
   refused, right or not: nobody can tell yet that they are no guesses.
5. A lock that ends later than any does was set by a clock that was ahead, and is none: else it held for as long.
6. What a login that is nobody's costs the database is what somebody's costs.
"""

from typing import NamedTuple

from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import decode_instant, encode_instant

FREE = 5
LONGEST_S = 3600

_FIND = Statement(
    """SELECT person_id, password, failures, locked_until FROM people
       WHERE tenant_id = :tenant_id AND login = :login AND disabled_at IS NULL"""
)
_COUNT = Statement(
    """UPDATE people SET failures = :failures, locked_until = :locked_until
       WHERE tenant_id = :tenant_id AND person_id = :person_id"""
)
_COUNT_NOBODYS = Statement("UPDATE tenants SET revision = revision WHERE tenant_id = :tenant_id")
_CLEAR = Statement(
    """UPDATE people SET failures = 0, locked_until = NULL
       WHERE tenant_id = :tenant_id AND person_id = :person_id"""
)


class Try(NamedTuple):
    """A try that was counted: whose it is, and the password that is to be compared; None for both where there is none.

    `locked`: it is refused, whatever comes of the comparison.
    """

    person_id: str | None = None
    stored: str | None = None
    locked: bool = False


async def count_try(writing: Writing, tenant_id: str, login: str) -> Try:
    """Count a try, before its password is looked at."""
    rows = await writing.tx.fetch(_FIND, {"tenant_id": tenant_id, "login": login})
    if not rows:
        await count_nobodys(writing, tenant_id)
        return Try()
    person_id, stored, failures, locked_until = rows[0]
    if locked_until is not None and 0 < decode_instant(locked_until) - writing.now_ms <= LONGEST_S * 1000:
        await count_nobodys(writing, tenant_id)
        return Try(person_id, stored, locked=True)
    until_ms = writing.now_ms + delay_s(failures + 1) * 1000
    named = {"failures": failures + 1, "locked_until": encode_instant(until_ms)}
    await writing.tx.execute(_COUNT, {"tenant_id": tenant_id, "person_id": person_id, **named})
    return Try(person_id, stored)


async def count_nobodys(writing: Writing, tenant_id: str) -> None:
    """Change nothing, at the price of a change."""
    await writing.tx.execute(_COUNT_NOBODYS, (tenant_id,))


async def forget_tries(writing: Writing, tenant_id: str, person_id: str) -> None:
    """Begin to count anew, in the transaction that lets somebody in."""
    await writing.tx.execute(_CLEAR, {"tenant_id": tenant_id, "person_id": person_id})


def delay_s(failures: int) -> int:
    """For how long nobody gets in after so many tries in vain."""
    over = failures - FREE
    return 0 if over <= 0 else min(2 ** min(over, 20), LONGEST_S)
