"""A token endpoint that misbehaves as it is told: refresh tokens rotate, and reuse takes the whole grant.

It stands where the certified one (`tests/peers/oidc.mjs`) cannot be made to lose an answer or to stall.
"""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import anyio

from tests.support.raw_http import Response, serve


class Authorizer:
    """The state of one grant. `script` holds what is done next; then it behaves.

    `drop`: take effect, cut the connection. `unseen`: cut it without effect. `stall`: answer late. `lasting`: a token
    without an end and without a refresh token. `invalid_grant`: refuse, this once. A number: a status.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.script: list[str | int] = []
        self.asked: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.refused = 0
        self.called: list[int] = []
        self._number, self._revoked, self._withdrawn = 1, False, 0

    @property
    def first(self) -> tuple[str, str]:
        """The tokens the grant begins with."""
        return "access-1", "refresh-1"

    def revoke_access(self) -> None:
        """Refuse the access token in use from now on; the grant lives on."""
        self._withdrawn = self._number

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """One request."""
        if target == "/hook":
            good = self._withdrawn != self._number and not self._revoked
            good = good and headers.get("authorization") == f"Bearer access-{self._number}"
            self.called.append(200 if good else 401)
            return Response(self.called[-1], {})
        self.asked.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
        self.headers.append(headers)
        step = self.script.pop(0) if self.script else "behave"
        if isinstance(step, int):
            return Response(step, {"error": "temporarily_unavailable"}, {"retry-after": "7"})
        if step == "invalid_grant":
            return Response(400, {"error": step})
        if step == "unseen":
            return Response(0, {})
        given = self._give(self.asked[-1])
        if step == "stall":
            await anyio.sleep(0.3)
        if step == "lasting":
            return Response(200, {"access_token": f"access-{self._number}"})
        return Response(0, {}) if step == "drop" else given

    def _give(self, asked: Mapping[str, str]) -> Response:
        spent = asked.get("refresh_token") != f"refresh-{self._number}"
        if asked["grant_type"] == "refresh_token" and (spent or self._revoked):
            self._revoked = True
            self.refused += 1
            return Response(400, {"error": "invalid_grant"})
        self._number += 1
        fresh = {} if asked["grant_type"] == "client_credentials" else {"refresh_token": f"refresh-{self._number}"}
        return Response(200, {"access_token": f"access-{self._number}", "expires_in": 1000, **fresh})


@asynccontextmanager
async def authorizer() -> AsyncIterator[Authorizer]:
    """A running one."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        made = Authorizer(port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, port, made.answer)
            await _listening(port)
            yield made
            tasks.cancel_scope.cancel()


async def _listening(port: int) -> None:
    with anyio.fail_after(5):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.002)
            else:
                return
