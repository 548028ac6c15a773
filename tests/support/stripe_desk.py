"""A Stripe of our own as a real process, for what localstripe and stripe-stateful-mock lack, by Stripe's documentation.

    customers, payment intents, refunds   idempotency keys: replayed, refused with other parameters, forgotten when told
    lists of them                         newest first, pages, `created[gte]`, `email`, `customer`, `payment_intent`
    disputes, events                      disputes by a command of the test; an event for whatever happens

It misbehaves as it is told (`/control/behave`), for so many `times`, at a `path` where one is named:

    {"do": "status", "status": 409}       answer so, without an effect; `headers` and `error` may be added
    {"do": "lose"}                        take effect, and cut the connection instead of answering
"""

import asyncio
import base64
import itertools
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.raw_http import Response, serve

API_KEY = "sk_test_51HouseOfTests"
_OWNERS = f"Basic {base64.b64encode(f'{API_KEY}:'.encode()).decode()}"
"""The other way to show a key: tests ask so, and are always answered well."""

_PREFIX = {"customers": "cus", "payment_intents": "pi", "refunds": "re", "disputes": "dp", "events": "evt"}
_PART = re.compile(r"[^\[\]]+")

Thing = dict[str, Any]


class Desk:
    """What there is at this Stripe, and how it behaves."""

    def __init__(self, now_s: Callable[[], int] = lambda: int(time.time())) -> None:
        self._things: dict[str, list[Thing]] = {kind: [] for kind in _PREFIX}
        self._keys: dict[str, tuple[Thing, Response]] = {}
        self._behaviour: Thing = {"do": "well", "times": 0}
        self._calls: list[Thing] = []
        self._numbers, self._now_s = itertools.count(1), now_s

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer a request, of the API or of the test."""
        split = urlsplit(target)
        params = _unflattened(parse_qsl(body.decode()) if body else parse_qsl(split.query))
        if split.path.startswith("/control/"):
            return self._control(split.path.removeprefix("/control/"), params)
        self._calls.append({"path": split.path, "key": headers.get("idempotency-key"), "headers": sorted(headers)})
        shown = headers.get("authorization")
        if shown not in {f"Bearer {API_KEY}", _OWNERS}:
            return _refusal(401, "invalid_request_error", "api_key_expired")
        do = {} if shown == _OWNERS else self._misbehaviour(split.path)
        if do.get("do") == "status":
            error = {"type": "api_error", **do.get("error", {})}
            return Response(int(do["status"]), {"error": error}, do.get("headers", {}))
        response = self._keyed(split.path, params, headers.get("idempotency-key"), is_post=bool(body))
        return Response(0, {}) if do.get("do") == "lose" else response

    def _control(self, what: str, told: Thing) -> Response:
        match what:
            case "behave":
                self._behaviour = {"times": "1", **told}
            case "forget":
                self._keys.clear()
            case "dispute":
                self._dispute(told["payment_intent"], told["status"])
            case "change":
                self._of("payment_intents", told.pop("id")).update(told)
            case _:
                return Response(200, {"calls": self._calls})
        return Response(200, {})

    def _misbehaviour(self, path: str) -> Thing:
        if not path.startswith(self._behaviour.get("path", "")):
            return {}
        times = int(self._behaviour["times"])
        self._behaviour["times"] = max(0, times - 1)
        return self._behaviour if times else {}

    def _keyed(self, path: str, params: Thing, key: str | None, *, is_post: bool) -> Response:
        if not is_post or key is None:
            return self._api(path, params, is_post=is_post)
        known = self._keys.get(key)
        if known is None:
            response = self._api(path, params, is_post=True)
            self._keys[key] = {"path": path, **params}, response
            return response
        if known[0] != {"path": path, **params}:
            return _refusal(400, "idempotency_error", None)
        return known[1]._replace(headers={"idempotent-replayed": "true"})

    def _api(self, path: str, params: Thing, *, is_post: bool) -> Response:
        kind, _, rest = path.removeprefix("/v1/").partition("/")
        name, _, action = rest.partition("/")
        found = next((one for one in self._things.get(kind, []) if one["id"] == name), None)
        if kind not in self._things or (name and found is None):
            return _refusal(404, "invalid_request_error", "resource_missing")
        if found is None:
            return self._create(kind, params) if is_post else Response(200, self._list(kind, params))
        if action == "cancel":
            found["status"] = "canceled"
            self._happened("payment_intent.canceled", found)
        elif is_post:
            found.update(params)
        return Response(200, self._expanded(found, params.get("expand", {})))

    def _create(self, kind: str, params: Thing) -> Response:
        thing = {"object": kind[:-1], "metadata": {}, **params} | self._named(kind)
        if kind == "payment_intents":
            paid = bool(params.get("confirm"))
            thing |= {"amount": int(params["amount"]), "status": "succeeded" if paid else "requires_payment_method"}
            thing |= {"amount_received": thing["amount"] if paid else 0, "latest_charge": _charge() if paid else None}
        if kind == "refunds":
            intent = self._of("payment_intents", params["payment_intent"])
            left = intent["amount"] - intent["latest_charge"]["amount_refunded"]
            if not left:
                return _refusal(400, "invalid_request_error", "charge_already_refunded")
            intent["latest_charge"]["amount_refunded"] += left
            self._happened("charge.refunded", {"id": "ch_1", "payment_intent": intent["id"]})
        self._things[kind].append(thing)
        if kind == "payment_intents":
            self._happened("payment_intent.succeeded" if thing["amount_received"] else "payment_intent.created", thing)
        return Response(200, thing, {"request-id": f"req_{thing['id']}"})

    def _list(self, kind: str, params: Thing) -> Thing:
        since = int(params.get("created", {}).get("gte", 0))
        wanted = {name: params[name] for name in ("email", "customer", "payment_intent") if name in params}
        found = [one for one in reversed(self._things[kind]) if one["created"] >= since]
        found = [one for one in found if all(one.get(name) == value for name, value in wanted.items())]
        ids, size = [one["id"] for one in found], int(params.get("limit", 10))
        start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
        return {"object": "list", "data": found[start : start + size], "has_more": start + size < len(found)}

    def _expanded(self, thing: Thing, expand: Thing) -> Thing:
        if "customer" not in expand.values() or not thing.get("customer"):
            return thing
        return {**thing, "customer": self._of("customers", thing["customer"])}

    def _dispute(self, intent_id: str, status: str) -> None:
        self._of("payment_intents", intent_id)["latest_charge"]["disputed"] = True
        known = [one for one in self._things["disputes"] if one["payment_intent"] == intent_id]
        dispute = known[0] if known else {"object": "dispute", "payment_intent": intent_id} | self._named("disputes")
        dispute["status"] = status
        if not known:
            self._things["disputes"].append(dispute)
        self._happened(f"charge.dispute.{'closed' if known else 'created'}", dispute)

    def _happened(self, event_type: str, about: Thing) -> None:
        event = {"object": "event", "type": event_type, "livemode": False, "data": {"object": dict(about)}}
        self._things["events"].append(event | self._named("events"))

    def _named(self, kind: str) -> Thing:
        return {"id": f"{_PREFIX[kind]}_{next(self._numbers)}", "created": self._now_s()}

    def _of(self, kind: str, name: str) -> Thing:
        return next(one for one in self._things[kind] if one["id"] == name)


def _charge() -> Thing:
    return {"id": "ch_1", "object": "charge", "amount_refunded": 0, "disputed": False}


def _refusal(status: int, error_type: str, code: str | None) -> Response:
    return Response(status, {"error": {"type": error_type, "code": code, "message": "CANARY: what Stripe says"}})


def _unflattened(pairs: list[tuple[str, str]]) -> Thing:
    """`a[b][0]=1` as `{"a": {"b": {"0": "1"}}}`."""
    tree: Thing = {}
    for name, value in pairs:
        *path, last = _PART.findall(name)
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Desk().answer))
