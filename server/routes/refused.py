"""Who was not let in is counted, and noted in the audit of the merchant they named, where they named one.

A key names its merchant. An access token is at its end every ten minutes and renewed: that one came too late is counted
and not noted.
"""

import re
from typing import Any
from uuid import UUID

from starlette.requests import Request

from server import meters
from server.audit import coarse

TENANT = "rientro.tenant"
"""Where a request's scope holds the merchant of who was let in."""

_NAMED = re.compile(r"rnt_([0-9a-f]{32})_")


def refused(request: Request[Any], reason: str) -> None:
    """Count a refusal; `reason` is one of our codes."""
    origin = None if request.client is None else coarse(request.client.host)
    services = request.scope["state"].get("services")
    if services is None:  # a relay, which tells its metrics and nothing else
        meters.REFUSALS.labels(reason).inc()
    else:
        services.refusals.refuse(reason, request.scope.get(TENANT) or _tenant(request), origin)


def _tenant(request: Request[Any]) -> str | None:
    named = _NAMED.search(request.headers.get("authorization", ""))
    return None if named is None else str(UUID(named[1]))
