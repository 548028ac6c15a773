"""What comes to its end at accounts, of all tenants: certificates, secrets due for replacement, lost consents.

Only dates are read, no secret is opened. The bound keeps a scrape small: the earliest ends are told.
"""

from typing import NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement

SOON_MS = 30 * 86_400_000
MOST_ENDINGS = 1_000

_ALL = Statement(
    f"""/* across tenants */ SELECT e.provider, x.endpoint_id, x.name, x.what, x.ends_at FROM (
         SELECT tenant_id, endpoint_id, name, 'expires' AS what, expires_at AS ends_at FROM secret_dates
           WHERE expires_at <= :until
         UNION ALL SELECT tenant_id, endpoint_id, name, 'replace', replace_by FROM secret_dates
           WHERE replace_by <= :until
         UNION ALL SELECT tenant_id, endpoint_id, 'oauth', 'consent_lost', stored_at FROM tokens WHERE lost) AS x
       JOIN endpoints AS e ON e.tenant_id = x.tenant_id AND e.endpoint_id = x.endpoint_id
       ORDER BY x.ends_at, x.endpoint_id, x.name LIMIT {MOST_ENDINGS}"""  # noqa: S608  # a number of ours
)


class Ending(NamedTuple):
    """Something that ends: `at` is when, or when a consent that was lost last gave a token."""

    provider: str
    endpoint_id: str
    secret: str
    what: str
    at: str


async def all_endings(tx: Tx, until: str) -> list[Ending]:
    """What ended, or ends by then."""
    return [Ending(*row) for row in await tx.fetch(_ALL, {"until": until})]
