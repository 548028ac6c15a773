"""Gives access tokens, and renews them: early, once, whatever the number of callers and processes.

Rules:

1. Whoever has a token that is still good never waits: what is due is renewed beside it.
2. One renewal at a time a process, one lease in all processes; the others read what was stored.
3. A renewal goes on when its caller is gone: once a refresh token left, its answer must be stored. The store is tried
   again for as long as it may help, and nobody uses a token before it is stored.
4. A refused refresh token ends it: an alarm, and a person connects the account anew. But first what is stored is read
   again, for another may have been stored meanwhile.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from logging import INFO, WARNING
from typing import Literal, NamedTuple

import anyio
import structlog
from anyio.abc import TaskGroup

from server.credentials import oauth
from server.credentials.keyring import SecretKeyError
from server.credentials.oauth import Granted, TokenError
from server.credentials.tokens import BRIEF_LEASE_MS, LEASE_MS, Held, Place, TokenStore, decide
from server.credentials.vault import SealedError
from server.outbound import Credentials, Outbound
from server.outbound.form import credentials_of
from server.ports import Account
from server.resilience.errors import DeliveryError, PermanentError, TransientError, UnknownError
from server.storage.database import DatabaseError
from sync.clock import encode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PATIENCE_MS = 20_000
ASK_S = 15
"""A renewal's call ends after this."""

STORE_FOR_MS = 120_000
"""For so long from its beginning a renewal's answer is tried to be stored; nobody else gets the lease before."""

_LOOK_AGAIN_S = 0.05


class AccessTokens:
    """Access tokens of all accounts; made by `open_access`."""

    def __init__(
        self, store: TokenStore, outbound: Outbound, tasks: TaskGroup, *, owner: str, clock: Callable[[], int]
    ) -> None:
        """`owner` names this process in leases; `clock` gives milliseconds since 1970."""
        self._store, self._outbound, self._tasks = store, outbound, tasks
        self._owner, self._clock = owner, clock
        self._running: dict[Place, anyio.Event] = {}

    async def token(self, account: Account, refused: str | None = None) -> str:
        """An access token that should be good, and is not `refused`. Raises a DeliveryError."""
        place, credentials = Place(account.tenant_id, account.endpoint_id), credentials_of(account)
        until_ms = self._clock() + PATIENCE_MS
        while self._clock() < until_ms:
            held = await self._load(place)
            step = decide(held, encode_instant(self._clock()), refused, repeatable=_is_repeatable(credentials))
            match step:
                case "use":
                    return _access(held)
                case "renew_meanwhile":
                    self._start(place, credentials, held)
                    return _access(held)
                case "renew":
                    await self._start(place, credentials, held).wait()
                case "wait":
                    await self._rest(place)
                case "lost":
                    await self._lose(place, held)
                    raise _none(step)
                case "later" | "not_connected":
                    raise _none(step)
        raise _none("later")

    async def _load(self, place: Place) -> Held | None:
        try:
            return await self._store.load(place)
        except DatabaseError:
            raise TransientError("tokens_unavailable") from None
        except (SealedError, SecretKeyError):
            log.error("tokens_do_not_open", **place._asdict(), alarm=True)  # noqa: TRY400
            raise UnknownError("secrets_do_not_open") from None

    async def _rest(self, place: Place) -> None:
        """Until the renewal of this process ends, or for a moment where it is another's."""
        with anyio.move_on_after(_LOOK_AGAIN_S):
            await self._running.get(place, anyio.Event()).wait()

    def _start(self, place: Place, credentials: Credentials, held: Held | None) -> anyio.Event:
        if place not in self._running:
            self._running[place] = anyio.Event()
            self._tasks.start_soon(self._renew, place, credentials, held)
        return self._running[place]

    async def _lose(self, place: Place, held: Held | None) -> None:
        """What ended and cannot be renewed is marked once; where that cannot be stored now, the next caller does it."""
        if held is None or held.lost:
            return
        with suppress(DatabaseError):
            if await self._store.lose(place, held):
                log.warning("token_ended", **place._asdict(), alarm=True)

    async def _renew(self, place: Place, credentials: Credentials, held: Held | None) -> None:
        begun_ms = self._clock()
        try:
            with anyio.CancelScope(shield=True):
                for_ms = BRIEF_LEASE_MS if _is_repeatable(credentials) else LEASE_MS
                fence = await self._store.lease(place, held, self._owner, for_ms)
                if fence is not None:
                    await self._under_lease(_Renewal(place, credentials, held, fence, begun_ms))
        except Exception:
            log.exception("token_renewal_failed", **place._asdict())
            with anyio.CancelScope(shield=True):
                await anyio.sleep(_LOOK_AGAIN_S)
        finally:
            self._running.pop(place).set()

    async def _under_lease(self, renewal: "_Renewal") -> None:
        try:
            with anyio.fail_after(ASK_S):
                granted = await self._ask(renewal)
        except TokenError as error:
            await self._note(renewal, error)
        except TimeoutError:
            await self._note(renewal, TokenError("timeout", maybe_spent=True))
        else:
            await self._keep(renewal, granted)

    async def _ask(self, renewal: "_Renewal") -> Granted:
        if _is_repeatable(renewal.credentials):
            return await oauth.client_credentials(self._outbound, renewal.credentials)
        return await oauth.refresh(self._outbound, renewal.credentials, renewal.spent)

    async def _note(self, renewal: "_Renewal", error: TokenError) -> None:
        lost = error.refused and not _is_repeatable(renewal.credentials)
        place = renewal.place
        if not await self._store.failed(place, renewal.fence, renewal.held, error, lost=lost):
            log.warning("token_overtaken", **place._asdict())
            return
        log.warning("token_not_renewed", **place._asdict(), code=error.code, in_doubt=error.maybe_spent, alarm=lost)

    async def _keep(self, renewal: "_Renewal", granted: Granted) -> None:
        """Store it, however long the database needs: the old refresh token may be worth nothing any more."""
        place, pause_s = renewal.place, _LOOK_AGAIN_S
        while True:
            try:
                kept = await self._store.store(place, renewal.fence, granted, renewal.begun_ms, renewal.spent)
            except DatabaseError:
                if self._clock() >= renewal.begun_ms + STORE_FOR_MS:
                    log.error("token_not_stored", **place._asdict(), alarm=True)  # noqa: TRY400
                    raise
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, 5)
            else:
                log.log(INFO if kept else WARNING, "token_renewed" if kept else "token_overtaken", **place._asdict())
                return


class _Renewal(NamedTuple):
    """A renewal under its lease; `begun_ms` is before the lease was taken."""

    place: Place
    credentials: Credentials
    held: Held | None
    fence: int
    begun_ms: int

    @property
    def spent(self) -> str:
        """The refresh token that is sent."""
        return "" if self.held is None else self.held.refresh_token


@asynccontextmanager
async def open_access(
    store: TokenStore, outbound: Outbound, *, owner: str, clock: Callable[[], int]
) -> AsyncIterator[AccessTokens]:
    """Access tokens for the process's life; at the end, renewals under way are given the time they need."""
    async with anyio.create_task_group() as tasks:
        yield AccessTokens(store, outbound, tasks, owner=owner, clock=clock)


def _is_repeatable(credentials: Credentials) -> bool:
    return credentials.oauth_grant == "client_credentials"


def _none(step: Literal["later", "lost", "not_connected"]) -> DeliveryError:
    """Why there is no token."""
    if step == "later":
        return TransientError("token_not_renewed")
    return PermanentError("consent_lost" if step == "lost" else "not_connected")


def _access(held: Held | None) -> str:
    assert held is not None
    return held.access_token
