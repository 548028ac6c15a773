"""An owner's address: a real HTTP server that keeps what it is told, checks who signed it, and can refuse."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.serving import served

SECRET = "whsec_b3duZXItcy1zZWNyZXQtZm9yLXRlc3RzLTAwMDE="


@dataclass
class Owner:
    """What came to the owner, and whether it is taken."""

    url: str = ""
    status: int = 204
    ids: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """All alerts that came, in order."""
        return [alert for body in self.bodies for alert in json.loads(body)["data"]["alerts"]]

    def kinds(self) -> list[str]:
        """What they were about, since the last time this was asked."""
        found = [alert["kind"] for alert in self.alerts]
        self.bodies.clear()
        return found

    async def receive(self, request: Request) -> Response:
        """Take a message; one that nobody we know signed is a defect."""
        body = (await request.body()).decode()
        headers = request.headers
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert Webhook(SECRET).sign(headers["webhook-id"], at, body) == headers["webhook-signature"]
        self.ids.append(headers["webhook-id"])
        if self.status < 300:
            self.bodies.append(body)
        return Response(status_code=self.status)


@asynccontextmanager
async def open_owner() -> AsyncIterator[Owner]:
    """An owner who listens."""
    owner = Owner()
    async with served(Starlette(routes=[Route("/alerts", owner.receive, methods=["POST"])])) as address:
        owner.url = f"{address}/alerts"
        yield owner
