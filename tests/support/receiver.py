"""A receiving provider as a real process, which misbehaves as it is told.

It verifies Standard Webhooks signatures, honours idempotency keys and keeps what it got in a file.
The file has one JSON object a line: every arrival, what was done with it, and whether it came earlier than an answer of
ours had asked (`early`): on a connection that was told so, for what comes by another may have been on its way. It is
read back at a start, so that a killed receiver still knows the keys it saw.

Steps of a script, each for so many `times` (default 1), in order; one that names a `record` waits for that record:

    {"do": "status", "status": 503}               answer so, without effect; `headers` may be added
    {"do": "stall", "seconds": 5}                 take effect, answer late
    {"do": "throttle", "seconds": 2, "form": "date"}   429 with Retry-After to everybody until the time is over
    {"do": "drop"}                                take effect, then cut the connection
    {"do": "overtake", "url": "…", "say": […]}    take effect, tell of the object there, and answer when that was taken
                                                  in; `say` names what it gives back (record_id, idempotency_key);
                                                  `hint`: only its name; `then`: as `drop`
    {"do": "redirect"}                            302 to itself
    {"do": "chaos", "seed": 7}                    for each request, at random: 503, drop, or nothing wrong
"""

import asyncio
import json
import math
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.processes import ServerProcess, server_process
from tests.support.raw_http import Response, serve

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1yZWNlaXZlci0wMTIzNDU2Nzg5"
API_KEY = "key-of-the-receiver"
OBJECT = ("id", "sequence", "record_id", "idempotency_key")
GRACE_S = 0.3
"""Nor is early what was about to leave when the answer with Retry-After came."""


class Throttle(NamedTuple):
    """Until when everybody is told to stay away, since when, in which form, and on which connections so far."""

    told_at: float
    until: float
    form: str
    told: set[str]

    def response(self, now: float) -> Response:
        """The answer to whoever comes meanwhile."""
        date = self.form == "date"
        wait = formatdate(self.until, usegmt=True) if date else str(math.ceil(self.until - now))
        return Response(429, {}, {"retry-after": wait, "date": formatdate(now, usegmt=True)})


class Keeper:
    """What the receiver has, and how it behaves."""

    def __init__(self, file: Path, secret: str) -> None:
        self._file, self._webhook = file, Webhook(secret)
        self._script: list[dict[str, Any]] = []
        self._throttle = Throttle(0, 0, "seconds", set())
        self._dice = random.Random(0)
        self._bodies: dict[str, tuple[str, str]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                entry = json.loads(line)
                if entry["did"] == "kept":
                    self._made(entry)

    def script(self, steps: Sequence[dict[str, Any]]) -> None:
        """Behave so from now on; an ongoing throttle ends."""
        self._script = [{"times": 1, **step} for step in steps]
        self._throttle = Throttle(0, 0, "seconds", set())

    async def receive(self, headers: Mapping[str, str], body: str) -> Response:
        """Take one delivery."""
        now, throttle, connection = time.time(), self._throttle, headers[":connection"]
        entry: dict[str, Any] = {
            "at": now,
            "connection": connection,
            "key": headers.get("idempotency-key"),
            "correlation_id": headers.get("x-request-id"),
            "early": throttle.told_at + GRACE_S < now < throttle.until and connection in throttle.told,
            "body": body,
        }
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError:
            return self._write(entry, "forged", Response(401, {}))
        if now < throttle.until:
            throttle.told.add(connection)
            return self._write(entry, "throttle", throttle.response(now))
        step = self._step(json.loads(body)["data"]["record_id"])
        return await self._behave(step, entry)

    async def _behave(self, step: dict[str, Any], entry: dict[str, Any]) -> Response:
        match step["do"]:
            case "status":
                return self._write(entry, "status", Response(step["status"], {}, step.get("headers", {})))
            case "redirect":
                return self._write(entry, "redirect", Response(302, {}, {"location": "/elsewhere"}))
            case "throttle":
                return self._write(entry, "throttle", self._begin_throttle(step, entry["connection"]))
            case "drop" | "overtake":
                kept = self._keep(entry)
                if step["do"] == "overtake":
                    await self.tell(step, self.objects[entry["reference"]])
                return Response(0, {}) if "drop" in {step["do"], step.get("then")} else kept
            case "stall":
                kept = self._keep(entry)
                await asyncio.sleep(step["seconds"])
                return kept
            case _:
                return self._keep(entry)

    async def tell(self, step: Mapping[str, Any], made: Mapping[str, Any]) -> int:
        """A webhook about an object: signed, or (`hint`) its name alone. The status of the answer."""
        said = {"id", "sequence", "final", *step.get("say", ["record_id", "idempotency_key"])}
        told = {"id": made["id"]} if step.get("hint") else {name: made[name] for name in made if name in said}
        body, at = json.dumps(told), datetime.now(UTC)
        event_id = f"{made['id']}-{made['sequence']}"
        signature = self._webhook.sign(event_id, at, body)
        headers = {"webhook-id": event_id, "webhook-timestamp": str(int(at.timestamp()))}
        async with httpx.AsyncClient(trust_env=False) as client:
            signed = {} if step.get("hint") else {**headers, "webhook-signature": signature}
            return (await client.post(step["url"], content=body, headers=signed)).status_code

    def _step(self, record_id: str) -> dict[str, Any]:
        for step in self._script:
            if step["times"] > 0 and step.get("record", record_id) == record_id:
                step["times"] -= 1
                return self._at_random(step) if step["do"] == "chaos" else step
        return {"do": "nothing wrong"}

    def _at_random(self, step: dict[str, Any]) -> dict[str, Any]:
        if "seed" in step:
            self._dice = random.Random(step.pop("seed"))
        wrong = ({"do": "status", "status": 503}, {"do": "drop"}, {"do": "nothing wrong"}, {"do": "nothing wrong"})
        return self._dice.choice(wrong)

    def _begin_throttle(self, step: dict[str, Any], connection: str) -> Response:
        now, form = time.time(), step.get("form", "seconds")
        until = now + step["seconds"]
        self._throttle = Throttle(now, math.ceil(until) if form == "date" else until, form, {connection})
        return self._throttle.response(now)

    def _keep(self, entry: dict[str, Any]) -> Response:
        """One effect a key; the same key with another body is an error of the sender's."""
        key, body = entry["key"], entry["body"]
        known = self._bodies.get(key)
        if known is not None and known[1] != body:
            return self._write(entry, "mismatch", Response(422, {}))
        reference = known[0] if known else f"rcv-{len(self._bodies) + 1}"
        entry["reference"] = reference
        self._made(entry)
        return self._write(entry, "again" if known else "kept", Response(200, {"reference": reference}))

    def _made(self, entry: Mapping[str, Any]) -> None:
        """What a delivery made: an object that knows where it comes from."""
        reference, key, body = entry["reference"], entry["key"], entry["body"]
        made = {"id": reference, "sequence": 1, "idempotency_key": key, **json.loads(body)["data"]}
        self.objects.setdefault(reference, {name: made[name] for name in OBJECT})
        self._bodies[key] = (reference, body)

    def _write(self, entry: dict[str, Any], did: str, response: Response) -> Response:
        with self._file.open("a") as file:
            file.write(json.dumps({**entry, "did": did}) + "\n")
        return response


async def _run(port: int, keeper: Keeper) -> None:
    async def answer(target: str, headers: Mapping[str, str], body: bytes) -> Response:
        if target == "/script":
            keeper.script(json.loads(body))
            return Response(200, {})
        if target == "/tell":
            step = json.loads(body)
            made = keeper.objects[step["id"]]
            made |= step.get("changes", {})
            return Response(200, {"status": await keeper.tell(step, made)})
        if target.startswith("/find/"):
            found = [one for one in keeper.objects.values() if one["record_id"] == target.removeprefix("/find/")]
            return Response(200 if found else 404, found[0] if found else {})
        if target.startswith("/objects/"):
            made = keeper.objects.get(target.removeprefix("/objects/"), {})
            known = headers.get("authorization") == f"Bearer {API_KEY}"
            return Response((200 if made else 404) if known else 401, made)
        return await keeper.receive(headers, body.decode())

    await serve(port, answer)


class Receiver:
    """A running receiver, as tests see it."""

    def __init__(self, process: ServerProcess, file: Path) -> None:
        self.process, self._file = process, file
        self.url = f"{process.url}/hook"
        self.secret = SECRET
        self._forgotten = 0

    def forget(self) -> None:
        """Count arrivals from here on."""
        self._forgotten += len(self.arrivals())

    async def script(self, *steps: Mapping[str, Any]) -> None:
        """Behave so from now on."""
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.put(f"{self.process.url}/script", json=list(steps))).raise_for_status()

    async def tell(self, reference: str, url: str, **step: Any) -> int:
        """Let it tell of an object, after `changes` to it; the status of our answer."""
        async with httpx.AsyncClient(trust_env=False) as client:
            told = await client.put(f"{self.process.url}/tell", json={"id": reference, "url": url, **step})
        return int(told.raise_for_status().json()["status"])

    def arrivals(self) -> list[dict[str, Any]]:
        """All that came, in order, with the body parsed as `sent`."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [{**entry, "sent": json.loads(entry["body"])} for entry in map(json.loads, lines[self._forgotten :])]

    def kept(self) -> list[dict[str, Any]]:
        """What took effect."""
        return [entry for entry in self.arrivals() if entry["did"] == "kept"]


@asynccontextmanager
async def receiver_process(folder: Path) -> AsyncIterator[Receiver]:
    """Start a receiver that keeps its file and log in `folder`."""
    file = folder / "received.jsonl"
    arguments = ["-m", "tests.support.receiver", "{port}", str(file), SECRET]
    async with server_process(arguments, folder / "receiver.log") as process:
        yield Receiver(process, file)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), Keeper(Path(sys.argv[2]), sys.argv[3])))
