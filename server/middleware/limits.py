"""Rate limits, asked before anything else is done for a request: by address, by what it bears, stricter to sign in.

Rules:

1. Health checks are never limited.
2. The token that is borne, however it is written, is known by its hash, whether it is good or not: nobody uses up
   another's bucket without its token, and whoever makes tokens up is limited by address.
3. A long address is known by its first 64 bits, for that is what one customer has.
4. A refusal says when to come again, and nothing is taken for it.
5. A refresh token has 256 bits, there is nothing to guess: what is asked by it is limited by address only. Else one
   guest in the shop's network could keep all its tills from being renewed.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware.addresses import parse_address
from server.middleware.buckets import Buckets, Rate

Refuse = Callable[[str, int], ASGIApp]
"""Makes the answer, of what is limited and the seconds to wait."""
_UNLIMITED = "/health/"
_SIGN_IN = "/v1/auth/"
_BY_REFRESH = frozenset(("/v1/auth/refresh", "/v1/auth/sign-out"))
_COME_BACK = "/v1/auth/oidc/callback"
"""A browser asks for it by GET, and it lets in all the same."""


@dataclass(frozen=True)
class Rates:
    """Of an address, of a device, and of sign-ins from an address."""

    address: Rate
    device: Rate
    sign_in: Rate


class Limits:
    """Refuses what comes too fast."""

    def __init__(self, app: ASGIApp, rates: Rates, clock: Callable[[], float], refuse: Refuse) -> None:
        """`clock` gives seconds from anywhere, and never goes back."""
        self._app, self._clock, self._refuse = app, clock, refuse
        self._addresses, self._devices, self._sign_ins = map(Buckets, (rates.address, rates.device, rates.sign_in))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or say when to come again."""
        if scope["type"] != "http" or scope["path"].startswith(_UNLIMITED):
            await self._app(scope, receive, send)
            return
        for what, wait_s in self._waits(scope):
            if wait_s:
                await self._refuse(what, max(1, math.ceil(wait_s)))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _waits(self, scope: Scope) -> "list[tuple[str, float]]":
        """The first wait that is not 0 is the last one asked for."""
        now_s, address = self._clock(), _address(scope)
        asked = [("address", self._addresses, address)]
        if _is_sign_in(scope["path"], scope["method"]):
            asked.append(("sign_in", self._sign_ins, address))
        bearer = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if bearer is not None:
            asked.append(("device", self._devices, hashlib.sha256(bearer.partition(b" ")[2].strip()).digest()))
        waits: list[tuple[str, float]] = []
        for what, buckets, key in asked:
            waits.append((what, buckets.take(key, now_s)))
            if waits[-1][1]:
                break
        return waits


def _is_sign_in(path: str, method: str) -> bool:
    return path == _COME_BACK or (path.startswith(_SIGN_IN) and path not in _BY_REFRESH and method != "GET")


def _address(scope: Scope) -> bytes:
    host = (scope.get("client") or ("",))[0]
    address = parse_address(host)
    if address is None:
        return host.encode()[:64]
    return address.packed if address.version == 4 else address.packed[:8]  # noqa: PLR2004  # the two versions
