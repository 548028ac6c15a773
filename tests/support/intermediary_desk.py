"""An SDI intermediary in the Invoicetronic dialect as a real process: it hands files over and tells of them.

    GET /v1/receive?last_update_from=&page=&page_size=&include_payload=&sort=&company_id=   Invoicetronic-Total-Count
    GET /v1/receive/{id}?include_payload=
    POST /v1/send, GET /v1/send, GET /v1/update/{id}: what we send, and what became of it (`tests.support.sent_files`)
    POST to a webhook of ours, `Invoicetronic-Signature: t=…,v1=hex(HMAC-SHA256(secret, "{t}.{body}"))`

The API key comes by Basic auth, as user name without a password. What it has is kept in a file and read back at a
start, so that it can be killed. It misbehaves as it is told (`behave`), for so many `times`, or until told otherwise:

    {"do": "status", "status": 503}     answer so; `headers` may be added
    {"do": "slow", "seconds": 2}        answer late
    {"do": "drop"}                      cut the connection
    {"do": "take and drop"}             take what is sent, and cut the connection
"""

import asyncio
import base64
import hmac
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from tests.support.raw_http import Response, serve
from tests.support.sent_files import SentFiles

API_KEY = "ik_test_9c1b7a55e2d04f7e"
SECRET = "whsk_5e8f0c7d1b2a49e3a6d4c0f1"
MAX_PAGE_SIZE = 200


class Desk:
    """What the intermediary has, and how it behaves."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._invoices: list[dict[str, Any]] = []
        self._behaviour: dict[str, Any] = {"do": "well", "times": 0}
        self._calls: list[dict[str, Any]] = []
        self._events = 0
        self._sent = SentFiles()
        if file.exists():
            self._invoices = [json.loads(line) for line in file.read_text().splitlines()]

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer a request, of the API or of the test."""
        path = urlsplit(target).path
        query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        if path.startswith("/control/"):
            return await self._control(path, json.loads(body or b"{}"))
        response = await self._misbehave(path, body) or self._api(path, query, headers, body)
        self._calls.append({"path": path, "query": query, "status": response.status})
        return response

    async def _control(self, path: str, told: dict[str, Any]) -> Response:
        match path:
            case "/control/add":
                return Response(200, {"id": self._add(told)})
            case "/control/behave":
                self._behaviour = {"times": -1, **told}
                return Response(200, {})
            case "/control/update":
                return Response(200, {"id": self._sent.update(told)})
            case "/control/tell":
                return Response(200, {"statuses": await self._tell(told)})
            case _:
                return Response(200, {"calls": self._calls})

    def _add(self, told: dict[str, Any]) -> int:
        now = datetime.now(UTC) - timedelta(seconds=told.pop("age_s", 0))
        invoice = {
            "id": 86_940 + len(self._invoices),
            "created": now.isoformat(),
            "version": 1,
            "company_id": 42,
            "encoding": "Base64",
            "last_update": now.isoformat().replace("+00:00", "Z"),
            "is_read": False,
            **told,
        }
        self._invoices.append(invoice)
        with self._file.open("a") as file:
            file.write(json.dumps(invoice) + "\n")
        return int(invoice["id"])

    async def _tell(self, told: dict[str, Any]) -> list[int]:
        """Send one webhook, so many times; the statuses it was answered with (0: not at all)."""
        self._events += 1
        event = {
            "id": 700_000 + self._events,
            "user_id": 100,
            "company_id": 42,
            "endpoint": "receive",
            "method": "POST",
            "status_code": 201,
            "success": True,
            "date_time": datetime.now(UTC).isoformat(),
            "api_version": 1,
            **told["event"],
        }
        content = json.dumps(event).encode()
        headers = {"Content-Type": "application/json", **signed(content, told.get("secret", SECRET))}
        times = range(told.get("times", 1))
        return [await asyncio.to_thread(_post, told["url"], content, headers) for _ in times]

    async def _misbehave(self, path: str, body: bytes) -> Response | None:
        behaviour = self._behaviour
        if behaviour["times"] == 0:
            return None
        behaviour["times"] -= 1
        match behaviour["do"]:
            case "status":
                return Response(behaviour["status"], {}, behaviour.get("headers", {}))
            case "drop":
                return Response(0, {})
            case "take and drop":
                self._sent.answer(path, body)
                return Response(0, {})
            case "slow":
                await asyncio.sleep(behaviour["seconds"])
            case _:
                pass
        return None

    def _api(self, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Response:
        if headers.get("authorization") != f"Basic {base64.b64encode(f'{API_KEY}:'.encode()).decode()}":
            return Response(401, {"title": "Unauthorized", "status": 401})
        whole = query.get("include_payload") == "true"
        if path.startswith(("/v1/send", "/v1/update")):
            return self._sent.answer(path, body)
        if path == "/v1/receive":
            return self._list(query, whole=whole)
        found = [one for one in self._invoices if path == f"/v1/receive/{one['id']}"]
        return Response(200, _shown(found[0], whole=whole)) if found else Response(404, {"status": 404})

    def _list(self, query: Mapping[str, str], *, whole: bool) -> Response:
        since = datetime.fromisoformat(query.get("last_update_from", "1970-01-01T00:00:00Z"))
        company = query.get("company_id")
        found = [
            one
            for one in sorted(self._invoices, key=_updated_at)
            if _updated_at(one) >= since and (company is None or str(one["company_id"]) == company)
        ]
        size, page = min(int(query.get("page_size", 100)), MAX_PAGE_SIZE), int(query.get("page", 1))
        items = [_shown(one, whole=whole) for one in found[(page - 1) * size : page * size]]
        return Response(200, cast("Any", items), {"invoicetronic-total-count": str(len(found))})


def _post(url: str, content: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer; 0 where none came."""
    try:
        with build_opener(ProxyHandler({})).open(Request(url, content, dict(headers)), timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as refusal:
        return refusal.code
    except URLError:
        return 0


def _updated_at(invoice: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(invoice["last_update"])


def signed(content: bytes, secret: str, at_s: int | None = None) -> dict[str, str]:
    """The header that signs a body."""
    seconds = int(time.time()) if at_s is None else at_s
    signature = hmac.new(secret.encode(), f"{seconds}.".encode() + content, sha256).hexdigest()
    return {"Invoicetronic-Signature": f"t={seconds},v1={signature}"}


def _shown(invoice: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """An invoice counts as read once its payload was handed over."""
    invoice["is_read"] = invoice["is_read"] or whole
    return invoice if whole else {**invoice, "payload": None}


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Desk(Path(sys.argv[2])).answer))
