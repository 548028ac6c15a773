"""Lost history: whether what is accepted now may have been accepted, and sent, in one that a restore took away.

Rules:

1. A client sends again what the restored server forgot, as if it were new. What was made before the epoch began may
   have been sent before. A maker's clock may run ahead by as much as the protocol allows.
2. What a provider tells may have been told before, and says nothing of when: it is doubted for as long as providers
   repeat their news.
3. A tenant in its first epoch has lost nothing.
"""

from server.ports import Cause
from sync.clock import MAX_AHEAD_MS, decode_instant

REPEATED_MS = 3 * 24 * 60 * 60 * 1000
"""How long after a new epoch began a provider may tell its old news again."""

LONG_AGO = "1970-01-01T00:00:00.000Z"


def sent_in_lost(epoch_at: str, made_at: str, now: str, cause: Cause) -> str | None:
    """Since when it may have been sent before; None where it cannot have been. `made_at` is the change's own time."""
    began_ms = decode_instant(epoch_at)
    if cause.provider is not None:
        return LONG_AGO if decode_instant(now) < began_ms + REPEATED_MS else None
    return made_at if decode_instant(made_at) < began_ms + MAX_AHEAD_MS else None
