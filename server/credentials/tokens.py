"""Access tokens at rest, and the one lease under which they are renewed, in all processes.

Rules:

1. A refresh token is marked `in_doubt` in the transaction that takes the lease, before it is sent, and the mark goes
   with the answer that is stored: whoever finds it knows that the provider may have spent that token already.
2. Who stores names the fence of its lease; a consent given meanwhile has raised it, and wins.
3. A token in doubt is sent again only by the next holder of the lease, and only when there is nothing left to lose:
   once the access token in hand is refused or at its end. For a provider that detects reuse would take that as well.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from server.audit import Actor, Entry, note
from server.credentials.oauth import Granted, TokenError
from server.credentials.vault import Vault
from server.resilience.backoff import Schedule
from server.resilience.retry_after import parse_retry_after
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

SEALED_FOR = "oauth"
"""What stands for the provider in a sealed token's identity: so it opens in no other table."""

LEASE_MS = 150_000
"""Longer than a renewal may take that spends a refresh token: asking, and storing as long as that is tried at all."""

BRIEF_LEASE_MS = 30_000
"""Longer than asking takes; enough where asking spends nothing."""

ABANDONED_MS = 30_000
"""For so long an abandoned request may still be under way."""

_EARLY = (0.7, 0.1)
"""A token is renewed at 70 to 80 % of its life, so that accounts made together do not renew together."""

_BACKOFF = Schedule(base_s=1, cap_s=300, lasts_s=0)

_COLUMNS = "sealed, expires_at, refresh_at, retry_at, leased_until, fence, in_doubt, lost, failures"
_LOAD = Statement(f"SELECT {_COLUMNS} FROM tokens WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id")  # noqa: S608
_MAKE = Statement(
    """INSERT INTO tokens (tenant_id, endpoint_id, sealed, expires_at, refresh_at, fence, in_doubt, lost, failures,
         stored_at)
       VALUES (:tenant_id, :endpoint_id, '', :now, :now, 0, false, false, 0, :now) ON CONFLICT DO NOTHING"""
)
_LEASE = Statement(
    """UPDATE tokens SET fence = fence + 1, lease_owner = :owner, leased_until = :until, in_doubt = true
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND fence = :fence
         AND (leased_until IS NULL OR leased_until <= :now)"""
)
_STORE = Statement(
    """UPDATE tokens SET sealed = :sealed, expires_at = :expires_at, refresh_at = :refresh_at, retry_at = NULL,
         lease_owner = NULL, leased_until = NULL, fence = fence + 1, in_doubt = false, lost = false, failures = 0,
         error = NULL, stored_at = :now
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND fence = :fence"""
)
_FAILED = Statement(
    """UPDATE tokens SET retry_at = :retry_at, lease_owner = NULL, leased_until = NULL, in_doubt = :in_doubt,
         lost = :lost, failures = failures + 1, error = :error
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND fence = :fence"""
)
_LOSE = Statement(
    """UPDATE tokens SET lost = true, error = 'ended'
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND fence = :fence AND NOT lost"""
)

Step = Literal["use", "renew", "renew_meanwhile", "wait", "later", "lost", "not_connected"]


class Held(NamedTuple):
    """An endpoint's row, opened: empty texts where there is no token."""

    access_token: str
    refresh_token: str
    expires_at: str
    refresh_at: str
    retry_at: str | None
    leased_until: str | None
    fence: int
    in_doubt: bool
    lost: bool
    failures: int


class Place(NamedTuple):
    """Whose tokens."""

    tenant_id: str
    endpoint_id: str


def decide(held: Held | None, now: str, refused: str | None, *, repeatable: bool) -> Step:
    """What a caller does who needs an access token. `repeatable`: asking for one anew spends nothing."""
    if held is None or not (held.refresh_token or held.access_token or repeatable):
        return "renew" if repeatable else "not_connected"
    usable = held.access_token not in {"", refused} and now < held.expires_at
    leased = held.leased_until is not None and now < held.leased_until
    resting = held.retry_at is not None and now < held.retry_at
    doubtful, lost = held.in_doubt and not repeatable, held.lost and not repeatable
    if usable:
        idle = not (leased or resting or lost or doubtful)
        return "renew_meanwhile" if now >= held.refresh_at and idle and _can_renew(held, repeatable) else "use"
    if lost or not _can_renew(held, repeatable):
        return "lost"
    if leased:
        return "wait"
    return "later" if resting else "renew"


def _can_renew(held: Held, repeatable: bool) -> bool:  # noqa: FBT001
    return repeatable or held.refresh_token != ""


class TokenStore:
    """The table `tokens`."""

    def __init__(
        self, database: Database, writer: Writer, vault: Vault, clock: Callable[[], int], random: Callable[[], float]
    ) -> None:
        """`clock` gives milliseconds since 1970, `random` 0 ≤ x < 1."""
        self._database, self._writer, self._vault = database, writer, vault
        self._clock, self._random = clock, random

    async def load(self, place: Place) -> Held | None:
        """What is stored. Raises SealedError, DatabaseError."""

        async def work(tx: Tx) -> Held | None:
            for row in await tx.fetch(_LOAD, place):
                opened = self._open(place, row[0])
                access, fresh = opened.get("access_token", ""), opened.get("refresh_token", "")
                return Held._make((access, fresh, *row[1:6], bool(row[6]), bool(row[7]), row[8]))
            return None

        return await self._database.read(work)

    async def lease(self, place: Place, held: Held | None, owner: str, for_ms: int = LEASE_MS) -> int | None:
        """Take the lease on what was seen; its fence, or None where somebody was quicker."""
        seen = 0 if held is None else held.fence

        async def job(writing: Writing) -> int | None:
            if held is None:
                await writing.tx.execute(_MAKE, {**place._asdict(), "now": writing.now})
            named = {**place._asdict(), "owner": owner, "fence": seen, "now": writing.now}
            until = encode_instant(writing.now_ms + for_ms)
            return seen + 1 if await writing.tx.execute(_LEASE, {**named, "until": until}) else None

        return await self._writer.submit(Job([place.tenant_id], job))

    async def store(self, place: Place, fence: int, granted: Granted, asked_ms: int, kept: str) -> bool:
        """Store what was got under a lease, before anybody uses it; `kept` is the refresh token where none came.

        False where another consent came between. `asked_ms` is when it was asked for: its life counts from there.
        """
        row = self._row(place, granted, asked_ms, kept)

        async def job(writing: Writing) -> bool:
            return bool(await writing.tx.execute(_STORE, {**row, "fence": fence, "now": writing.now}))

        return await self._writer.submit(Job([place.tenant_id], job))

    async def connect(self, place: Place, granted: Granted, asked_ms: int) -> None:
        """Store the tokens of a fresh consent, whatever was there; a renewal under way will find its fence gone."""
        row = self._row(place, granted, asked_ms, "")

        async def job(writing: Writing) -> None:
            await writing.tx.execute(_MAKE, {**place._asdict(), "now": writing.now})
            ((*_, fence, _doubt, _lost, _failures),) = await writing.tx.fetch(_LOAD, place)
            await writing.tx.execute(_STORE, {**row, "fence": fence, "now": writing.now})
            await _note(writing, place, "consent.connect")

        await self._writer.submit(Job([place.tenant_id], job))

    async def failed(
        self, place: Place, fence: int, held: Held | None, error: TokenError, *, lost: bool = False
    ) -> bool:
        """Give the lease back after a failure, and say when to try again; what may be spent is left in doubt.

        `lost`: only a person can help. False where another consent came between, and nothing was written.
        """
        now_ms = self._clock()
        pause_ms = _BACKOFF.delay_ms((held.failures if held else 0) + 1, self._random)
        if error.maybe_spent:
            pause_ms += ABANDONED_MS
        retry_ms = max(now_ms + pause_ms, parse_retry_after(error.retry_after, now_ms) or 0)
        row = {
            **place._asdict(),
            "fence": fence,
            "retry_at": encode_instant(retry_ms),
            "in_doubt": error.maybe_spent or (held is not None and held.in_doubt),
            "lost": lost,
            "error": error.code[:64],
        }

        async def job(writing: Writing) -> bool:
            stored = bool(await writing.tx.execute(_FAILED, row))
            if stored and lost:
                await _note(writing, place, "consent.lose")
            return stored

        return await self._writer.submit(Job([place.tenant_id], job))

    async def lose(self, place: Place, held: Held) -> bool:
        """Mark a token that ended and that nobody can renew, so that lists show it; whether that was news."""

        async def job(writing: Writing) -> bool:
            news = bool(await writing.tx.execute(_LOSE, {**place._asdict(), "fence": held.fence}))
            if news:
                await _note(writing, place, "consent.lose")
            return news

        return await self._writer.submit(Job([place.tenant_id], job))

    def _row(self, place: Place, granted: Granted, asked_ms: int, kept: str) -> dict[str, str]:
        life_ms, (share, spread) = granted.lifetime_s * 1000, _EARLY
        refresh = granted.refresh_token or kept
        values = {"access_token": granted.access_token, **({"refresh_token": refresh} if refresh else {})}
        return {
            **place._asdict(),
            "sealed": self._vault.seal(place.tenant_id, SEALED_FOR, place.endpoint_id, values),
            "expires_at": encode_instant(asked_ms + life_ms),
            "refresh_at": encode_instant(asked_ms + int(life_ms * (share + spread * self._random()))),
        }

    def _open(self, place: Place, sealed: str) -> dict[str, str]:
        return self._vault.unseal(place.tenant_id, SEALED_FOR, place.endpoint_id, sealed) if sealed else {}


async def _note(writing: Writing, place: Place, action: str) -> None:
    """Who consented is known to the provider only; what we know is whose account it is."""
    await note(writing, place.tenant_id, Entry(action, Actor("system", "consents"), "endpoint", place.endpoint_id))
