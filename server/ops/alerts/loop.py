"""Looks, and tells: every half minute, in every process that serves or works."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import anyio
import structlog

from server.ops.alarms import Alarms
from server.ops.alerts.conditions import Seen, conditions, unreconciled
from server.ops.alerts.message import message
from server.ops.alerts.rows import Claimed, note_and_claim, note_told
from server.ops.figures import Watch
from server.outbound import Outbound, OutboundError
from server.storage.database import DatabaseError
from server.storage.writer import Job, Writer, Writing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVERY_S = 30.0
TIMEOUT_S = 10.0
DEADLINE_S = 30.0
"""Shorter than the lease on what is told."""

_COVERED = frozenset(("delivery_attempt", "event_processed", "event_isolated", "polled"))
"""Alarms of single deliveries and events: what they leave behind in the database is told instead, once."""


class Devices(Protocol):
    """Who tells owners on their devices of what is told here."""

    async def anybody(self) -> bool:
        """Whether any device wants to be told. Raises DatabaseError."""

    async def alerts(self, writing: Writing, told: Sequence[tuple[str, str, str]]) -> None:
        """Keep it for them, in the transaction that claims it: alerts as (tenant, kind, subject)."""


@dataclass(frozen=True, kw_only=True)
class Alerting:
    """Tells the address in the settings, where there is one, and devices. `sleep` takes seconds."""

    watch: Watch
    writer: Writer
    alarms: Alarms
    outbound: Outbound
    url: str | None
    secret: str
    failing_after_ms: int
    devices: "Devices | None" = None
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def run(self) -> None:
        """Look until cancelled; what goes wrong is tried again at the next look."""
        while True:
            try:
                await self.once()
            except DatabaseError as error:
                log.warning("alerts_put_off", error=str(error))
            except Exception:
                log.exception("alerting_failed")
            await self.sleep(EVERY_S)

    async def once(self) -> int:
        """One look; how many alerts were told. Raises DatabaseError."""
        if self.url is None and (self.devices is None or not await self.devices.anybody()):
            return 0
        figures = await self.watch.figures()
        raised = {alarm: count for alarm, count in self.alarms.drain().items() if alarm.event not in _COVERED}
        seen = conditions(figures.accounts, figures.at_ms, self.failing_after_ms)
        seen += unreconciled(figures.unreconciled or ())
        seen += [Seen(alarm.tenant_id, "alarm", alarm.event, count) for alarm, count in raised.items()]
        try:
            claimed = await self.writer.submit(Job([], partial(self._claim, seen)))
        except DatabaseError:
            self.alarms.put_back(raised)
            raise
        if not claimed.alerts or self.url is None:
            return len(claimed.alerts)
        if not await self._post(self.url, claimed):
            return 0
        await self.writer.submit(Job([], partial(note_told, claimed)))
        return len(claimed.alerts)

    async def _claim(self, seen: Sequence[Seen], writing: Writing) -> Claimed:
        """Claim what is to be told, and have devices told of it; where they are all there is, it is told by that."""
        claimed = await note_and_claim(seen, writing)
        if self.devices is not None and claimed.alerts:
            await self.devices.alerts(writing, [alert[:3] for alert in claimed.alerts])
        if self.url is None:
            await note_told(claimed, writing)
        return claimed

    async def _post(self, url: str, claimed: Claimed) -> bool:
        accounts = (await self.watch.figures()).accounts
        told = message(claimed.alerts, accounts, self.secret, self.watch.clock())
        status: int | str
        try:
            with anyio.fail_after(DEADLINE_S):
                status = (await self.outbound.post(url, told.body, told.headers, TIMEOUT_S)).status
        except (OutboundError, TimeoutError) as error:
            status = str(error) or "timeout"
        taken = isinstance(status, int) and 200 <= status < 300  # noqa: PLR2004  # HTTP's own
        tell = log.info if taken else log.warning
        tell("alerts_told", alerts=len(claimed.alerts), status=status, taken=taken)
        return taken
