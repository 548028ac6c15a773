"""The part of the Invoicetronic dialect that takes files: each once, under an id, and what became of it afterwards."""

import json
from typing import Any

from tests.support.raw_http import Response


class SentFiles:
    """What was sent, newest last."""

    def __init__(self) -> None:
        self._sent: list[dict[str, Any]] = []
        self._updates: list[dict[str, Any]] = []

    def answer(self, path: str, body: bytes) -> Response:
        """`POST /send` (it has a body), `GET /send`, `GET /update/{id}`."""
        if body:
            return self._take(json.loads(body))
        if path == "/v1/send":
            listed: Any = [{**one, "payload": None} for one in self._sent[::-1]]
            return Response(200, listed)
        found = [one for one in self._updates if path == f"/v1/update/{one['id']}"]
        return Response(200, found[0]) if found else Response(404, {"status": 404})

    def update(self, told: dict[str, Any]) -> int:
        """SDI said something of the newest file of that name."""
        sent = next(one for one in self._sent[::-1] if one["file_name"] == told["file_name"])
        update = {
            "id": 500 + len(self._updates),
            "send_id": sent["id"],
            "last_update": "2025-11-24T12:00:00Z",
            "is_read": False,
            "send": {"id": sent["id"], "file_name": sent["file_name"], "identifier": sent["identifier"]},
            **{name: value for name, value in told.items() if name != "file_name"},
        }
        self._updates.append(update)
        return int(update["id"])

    def _take(self, told: dict[str, Any]) -> Response:
        if not told.get("payload") or not told.get("file_name"):
            return Response(422, {"title": "Unprocessable", "status": 422})
        sent = {"id": 9000 + len(self._sent), "company_id": 42, "identifier": str(112 + len(self._sent)), **told}
        self._sent.append(sent)
        return Response(201, {**sent, "payload": None})
