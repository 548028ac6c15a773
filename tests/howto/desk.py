"""Tally, the other side of the how-to's example, as the page describes it: real HTTP, in this process."""

import json
from datetime import UTC, datetime
from typing import Any

import anyio
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

API_KEY = "key-of-the-shop"
WEBHOOK_SECRET = "whsec_" + "dGFsbHktdGVsbHMtdXMtb2YtY3VzdG9tZXJzLTAwMDE="


class Desk:
    """What it has: entries by key, customers, and who is let in."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.arrivals: list[tuple[str, bytes]] = []
        self.customers: list[dict[str, Any]] = []
        self.entered = anyio.Event()
        self.api_key = API_KEY
        self.failures = 0

    def app(self) -> Starlette:
        """Its HTTP."""
        return Starlette(
            routes=[
                Route("/entries", self._enter, methods=["POST"]),
                Route("/customers", self._list),
                Route("/me", self._me),
            ]
        )

    def told(self, customer: dict[str, Any], event_id: str = "evt-1") -> tuple[bytes, dict[str, str]]:
        """The webhook that tells of a customer."""
        body = json.dumps({"type": "customer.changed", "customer": customer}).encode()
        at = datetime.now(UTC)
        signature = Webhook(WEBHOOK_SECRET).sign(event_id, at, body.decode())
        stamp = {"webhook-id": event_id, "webhook-timestamp": str(int(at.timestamp()))}
        return body, {**stamp, "webhook-signature": signature}

    def _knows(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.api_key}"

    async def _enter(self, request: Request) -> Response:
        if not self._knows(request):
            return Response(status_code=401)
        key, body = request.headers["idempotency-key"], await request.body()
        self.arrivals.append((key, body))
        made = self.entries.setdefault(key, {"id": f"T-{len(self.entries) + 1}", "entry": json.loads(body)})
        if self.failures:  # it took effect, and the answer is lost
            self.failures -= 1
            return Response(status_code=503)
        self.entered.set()
        return JSONResponse({"id": made["id"]}, 201)

    async def _list(self, request: Request) -> Response:
        if not self._knows(request):
            return Response(status_code=401)
        after = int(request.query_params["after"])
        return JSONResponse({"customers": [one for one in self.customers if one["revision"] > after]})

    async def _me(self, request: Request) -> Response:
        return Response(status_code=200 if self._knows(request) else 401)
