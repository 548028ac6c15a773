"""A push service and the browsers that it serves; `tests/peers/push.mjs` is its other half."""

import json
from typing import Any, NamedTuple

import httpx


class Browser(NamedTuple):
    """A browser's subscription: what it hands over, and the service's name for it."""

    endpoint: str
    keys: dict[str, str]
    name: str


class PushService:
    """npm web-push-testing. Browsers are made anew for each test, so nothing of one test is another's."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("127.0.0.1", "localhost")

    async def subscribe(self, public_key: str) -> Browser:
        """As a page does by `pushManager.subscribe`."""
        options = {"userVisibleOnly": "true", "applicationServerKey": public_key}
        data = (await self._post("/subscribe", options))["data"]
        return Browser(data["endpoint"].replace("undefined", ""), data["keys"], data["clientHash"])

    async def messages(self, browser: Browser) -> list[dict[str, Any]]:
        """What arrived there, decrypted."""
        told = await self._post("/get-notifications", {"clientHash": browser.name})
        return [json.loads(text) for text in told["data"]["messages"]]

    async def titles(self, browser: Browser) -> list[str]:
        """The first lines of it."""
        return [message["notification"]["title"] for message in await self.messages(browser)]

    async def expire(self, browser: Browser) -> None:
        """Its person forbade notifications: 410 from now on."""
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{self.url}/expire-subscription/{browser.name}")

    async def script(self, *answers: dict[str, Any]) -> None:
        """What the next messages are answered with."""
        await self._post("/script", list(answers))

    async def requests(self) -> list[dict[str, str]]:
        """Headers of what came since the last time."""
        found: list[dict[str, str]] = await self._post("/requests", {})
        return found

    async def _post(self, path: str, body: Any) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(self.url + path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()
