"""Square, Shopify and SumUp in one process: their APIs as far as sales go, by their documentation.

What is put there is told back as the vendor tells it: Square pages by an opaque cursor and forgets cursors it did not
give (400), Shopify by a `Link` header beside which nothing else may be asked, SumUp by a query in `links`. Amounts keep
the form they were put in. Each checks its own credential (401).

Control: `put` an object, `behave` (the next so many answers of a vendor have a status), `calls` (what was asked).
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.raw_http import Response, serve

TOKEN = "token-of-the-shop"
CREDENTIALS = {
    "square": ("authorization", f"Bearer {TOKEN}"),
    "shopify": ("x-shopify-access-token", TOKEN),
    "sumup": ("authorization", f"Bearer {TOKEN}"),
}
MERCHANT = "MH4H92C7"
MOST = {"square": 500, "shopify": 250, "sumup": 100}


class Desk:
    """What the vendors have, and how they behave."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}
        self._behaving: dict[str, list[int]] = {}
        self._calls: list[dict[str, Any]] = []
        self._pages: dict[str, int] = {}

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """One request."""
        parts = urlsplit(target)
        if parts.path.startswith("/control/"):
            return self._control(parts.path.removeprefix("/control/"), json.loads(body))
        vendor = parts.path.split("/")[1]
        path, query = parts.path.removeprefix(f"/{vendor}"), dict(parse_qsl(parts.query))
        self._calls.append({"vendor": vendor, "path": path, "query": query})
        name, value = CREDENTIALS[vendor]
        if headers.get(name) != value:
            return Response(401, {"errors": "unauthorized"})
        status = self._behaving.get(vendor, [])
        if status:
            return Response(status.pop(), {"errors": "trouble"})
        return getattr(self, f"_{vendor}")(path, query, body)  # type: ignore[no-any-return]  # a method of each

    def _control(self, what: str, told: dict[str, Any]) -> Response:
        match what:
            case "put":
                kept = self._objects.setdefault(f"{told['vendor']}/{told['kind']}", {})
                kept[str(told["object"]["id"])] = told["object"]
            case "clear":
                self.__init__()  # type: ignore[misc]  # as it was made
            case "behave":
                self._behaving[told["vendor"]] = [told["status"]] * told["times"]
            case _:
                pass
        return Response(200, {"calls": self._calls})

    def _all(self, kind: str) -> dict[str, Any]:
        return self._objects.get(kind, {})

    def _one(self, kind: str, object_id: str, member: str | None) -> Response:
        found = self._all(kind).get(object_id)
        if found is None:
            return Response(404, {"errors": "not found"})
        return Response(200, found if member is None else {member: found})

    def _square(self, path: str, _query: Mapping[str, str], body: bytes) -> Response:
        match path.split("/")[2:]:
            case ["locations"]:
                return Response(200, {"locations": [{"id": "L1"}]})
            case ["orders", "search"]:
                return self._search(json.loads(body))
            case ["orders", order_id]:
                return self._one("square/orders", order_id, "order")
            case ["payments", payment_id]:
                return self._one("square/payments", payment_id, "payment")
            case _:
                return Response(404, {})

    def _search(self, asked: Mapping[str, Any]) -> Response:
        query, cursor = asked["query"], asked.get("cursor")
        if cursor is not None and cursor not in self._pages:
            return Response(400, {"errors": [{"code": "INVALID_CURSOR"}]})
        since = query["filter"]["date_time_filter"]["updated_at"]["start_at"]
        states, locations = query["filter"]["state_filter"]["states"], asked["location_ids"]
        found = [
            one
            for one in sorted(self._all("square/orders").values(), key=_updated)
            if _updated(one) >= _at(since) and one["state"] in states and one["location_id"] in locations
        ]
        begin, size = self._pages.get(cursor or "", 0), min(asked["limit"], 2)
        page: dict[str, Any] = {"orders": found[begin : begin + size]}
        if begin + size < len(found):
            page["cursor"] = f"c{len(self._pages)}"
            self._pages[page["cursor"]] = begin + size
        return Response(200, page)

    def _shopify(self, path: str, query: Mapping[str, str], _body: bytes) -> Response:
        name = path.split("/", 4)[4]
        if name == "shop.json":
            return Response(200, {"shop": {"id": 1}})
        if name.startswith("orders/"):
            return self._one("shopify/orders", name.removeprefix("orders/").removesuffix(".json"), "order")
        begun = {"updated_at_min", "status", "order"} & query.keys()
        if "page_info" in query and begun:
            return Response(400, {"errors": "page_info stands alone"})
        since, begin = query.get("updated_at_min", ""), 0
        if "page_info" in query:
            since, _, place = query["page_info"].partition("|")
            begin = int(place)
        found = [o for o in sorted(self._all("shopify/orders").values(), key=_updated) if _updated(o) >= _at(since)]
        size = min(int(query.get("limit", "50")), 2)
        shown = query["fields"].split(",")
        orders = [{name: one[name] for name in shown} for one in found[begin : begin + size]]
        more = urlencode({"limit": size, "page_info": f"{since}|{begin + size}"})
        link = {"link": f'<https://shop.test/orders.json?{more}>; rel="next"'} if begin + size < len(found) else {}
        return Response(200, {"orders": orders}, link)

    def _sumup(self, path: str, query: Mapping[str, str], _body: bytes) -> Response:
        match path.split("/")[1:]:
            case ["v0.1", "checkouts", checkout_id]:
                return self._one("sumup/checkouts", checkout_id, None)
            case ["v2.1", "merchants", "MH4H92C7", "transactions"]:
                return self._one("sumup/transactions", query["id"], None)
            case ["v2.1", "merchants", "MH4H92C7", "transactions", "history"]:
                return self._history(query)
            case _:
                return Response(404, {})

    def _history(self, query: Mapping[str, str]) -> Response:
        since = _at(query.get("changes_since", "1970-01-01T00:00:00Z"))
        known = sorted(self._all("sumup/transactions").values(), key=lambda one: str(one["timestamp"]))
        found = [one for one in known if _at(one.get("changed_at", one["timestamp"])) >= since]
        begin, size = int(query.get("oldest_ref", "0")), min(int(query.get("limit", "10")), 2)
        shown = ("id", "transaction_code", "amount", "currency", "timestamp", "status", "refunded_amount")
        items = [{name: one[name] for name in shown if name in one} | {"type": "PAYMENT"} for one in found[begin:]]
        more = {"changes_since": query.get("changes_since", ""), "oldest_ref": begin + size, "order": "ascending"}
        links = [{"rel": "next", "href": urlencode(more)}] if begin + size < len(found) else []
        return Response(200, {"items": items[:size], "links": links})


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _updated(order: Mapping[str, Any]) -> datetime:
    return _at(order["updated_at"])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Desk().answer))
