"""The way out with its credentials: the client, and beside it the tokens that it sends and gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.app.core import Core, now_ms
from server.credentials.access import open_access
from server.ids import uuid7
from server.outbound import Outbound, open_outbound
from server.settings import Settings


@asynccontextmanager
async def open_outside(core: Core, settings: Settings) -> AsyncIterator[Outbound]:
    """The one client of the process; renewals under way end before it closes."""
    async with (
        open_outbound(allow_loopback=settings.allow_loopback) as outbound,
        open_access(core.credentials.tokens, outbound, owner=uuid7(), clock=now_ms) as access,
    ):
        outbound.authorize_with(access)
        yield outbound
