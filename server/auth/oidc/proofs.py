"""A browser proves which device it is, by the refresh token that it has: whoever signs in, it stays that device."""

from collections.abc import Callable

from server.auth.entrance import Proven
from server.auth.tokens import RefreshTokens
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import encode_instant

_DEVICE = Statement(
    """SELECT s.device_id FROM sessions AS s
       JOIN devices AS d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id AND d.revoked_at IS NULL
       WHERE s.tenant_id = :tenant_id AND s.session_id = :session_id AND s.generation = :generation
       AND s.ended_at IS NULL AND s.expires_at > :now"""
)


class DeviceProofs:
    """Looks up; spends nothing."""

    def __init__(self, database: Database, tokens: RefreshTokens, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds."""
        self._database, self._tokens, self._clock = database, tokens, clock

    async def proven_by(self, refresh_token: str | None) -> Proven | None:
        """The device of a session that is open, or None. Raises DatabaseError."""
        refresh = None if refresh_token is None else self._tokens.read(refresh_token)
        if refresh is None:
            return None
        named = {**refresh._asdict(), "now": encode_instant(self._clock())}

        async def work(tx: Tx) -> Proven | None:
            rows = await tx.fetch(_DEVICE, named)
            return Proven(refresh.tenant_id, rows[0][0]) if rows else None

        return await self._database.read(work)
