"""The daily tidying of all tenants, in every process that works; several at once do no harm, only double work."""

from collections.abc import Awaitable, Callable

import anyio
import structlog

from server.app.core import Core
from server.auth.admin import Admin
from server.engine.tidy import Tidier
from server.storage.database import DatabaseError
from server.storage.writer import UnknownTenantError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_HOUR_S = 60 * 60
_DAY_S = 24 * _HOUR_S


async def _nothing(_tenant_id: str) -> None:
    """Nothing else was begun."""


async def forget_again(core: Core) -> None:
    """What the ledger of erasures names and a restored backup brought back goes, copies too, before any answer."""
    for tenant_id, *_ in await core.admin.tenants():
        await core.eraser.apply(tenant_id)
        await core.eraser.go_on(tenant_id)


class Tidying:
    """Tidies once a day, at no certain hour, so that the processes of an installation do not all begin at once.

    What goes wrong with one tenant is somebody's business, and stops neither the others nor the other workers.
    """

    def __init__(
        self,
        tidier: Tidier,
        admin: Admin,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        finish: Callable[[str], Awaitable[object]] = _nothing,
    ) -> None:
        """`random` gives 0 ≤ x < 1, `sleep` takes seconds, `finish` ends what else was begun for a tenant."""
        self._tidier, self._admin, self._finish = tidier, admin, finish
        self._random, self._sleep = random, sleep

    async def run(self) -> None:
        """Until cancelled: within the first hour, then every day or a little less."""
        await self._sleep(self._random() * _HOUR_S)
        while True:
            await self.once()
            await self._sleep(_DAY_S - self._random() * _HOUR_S)

    async def once(self) -> None:
        """All tenants, one after the other; one that fails is tried again the next day."""
        try:
            tenants = await self._admin.tenants()
        except DatabaseError as error:
            log.warning("tidying_put_off", error=str(error))
            return
        except Exception:
            log.exception("tidying_failed", alarm=True)
            return
        for tenant_id, *_ in tenants:
            await self._tidy(tenant_id)

    async def _tidy(self, tenant_id: str) -> None:
        try:
            collected = await self._tidier.tidy(tenant_id)
            await self._finish(tenant_id)
        except UnknownTenantError:
            return  # deleted meanwhile
        except DatabaseError as error:
            log.warning("tidying_put_off", tenant_id=tenant_id, error=str(error))
            return
        except Exception:
            log.exception("tidying_failed", tenant_id=tenant_id, alarm=True)
            return
        if any(collected.values()):
            log.info("tidied", tenant_id=tenant_id, **{name: rows for name, rows in collected.items() if rows})
