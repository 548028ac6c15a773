"""The SDI intermediary of `intermediary_desk` as tests see it: a process, told what to have and how to behave."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx

from tests.support.intermediary_desk import API_KEY, SECRET, signed
from tests.support.processes import ServerProcess, server_process

__all__ = ["SECRET", "Intermediary", "intermediary_process", "signed"]


class Intermediary:
    """A running intermediary, as tests see it."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.settings = {"base_url": f"{process.url}/v1", "poll_every_s": 60}
        self.secrets = {"api_key": API_KEY, "webhook_secret": SECRET}

    async def add(self, file: bytes, identifier: str | None = None, **more: Any) -> int:
        """A received file; the id it is fetched by. `age_s`: it came so long ago."""
        payload = {"payload": base64.b64encode(file).decode(), "identifier": identifier}
        return int((await self._control("add", {"file_name": "IT01234567890_00001.xml", **payload, **more}))["id"])

    async def update(self, file_name: str, state: str, **more: Any) -> int:
        """What became of a file we sent; the id it is fetched by."""
        return int((await self._control("update", {"file_name": file_name, "state": state, **more}))["id"])

    async def behave(self, do: str, **more: Any) -> None:
        """Behave so from now on; `well` ends it."""
        await self._control("behave", {"do": do, **more} if do != "well" else {"do": do, "times": 0})

    async def tell(self, url: str, resource_id: int, *, times: int = 1, **more: Any) -> Sequence[int]:
        """Send a webhook about a file; `secret` signs with another one, `event` replaces members."""
        event = {"resource_id": resource_id, **more.pop("event", {})}
        told = {"url": url, "times": times, "event": event, **more}
        return cast("Sequence[int]", (await self._control("tell", told))["statuses"])

    async def calls(self, path: str = "/v1/") -> list[dict[str, Any]]:
        """The API calls that came in, of paths that begin so."""
        return [call for call in (await self._control("calls", {}))["calls"] if call["path"].startswith(path)]

    async def _control(self, what: str, told: Mapping[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(f"{self.process.url}/control/{what}", json=told)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())


@asynccontextmanager
async def intermediary_process(folder: Path) -> AsyncIterator[Intermediary]:
    """Start an intermediary that keeps its file and log in `folder`."""
    arguments = ["-m", "tests.support.intermediary_desk", "{port}", str(folder / "intermediary.jsonl")]
    async with server_process(arguments, folder / "intermediary.log") as process:
        yield Intermediary(process)
