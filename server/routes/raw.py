"""A request's body as it came: read once, within bounds, and kept for who asks again."""

from typing import Any

from starlette.requests import Request

from sync.errors import TooLargeError

_READ = "rientro.body"


async def read_raw(request: Request[Any], limit: int) -> bytes:
    """At most `limit` bytes. Raises TooLargeError naming the limit."""
    read: bytes | None = request.scope.get(_READ)
    if read is None:
        read = request.scope[_READ] = await _read(request, limit)
    if len(read) > limit:
        raise TooLargeError(f"at most {limit} bytes a request", limit_bytes=limit)
    return read


async def _read(request: Request[Any], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError(f"at most {limit} bytes a request", limit_bytes=limit)
        parts.append(part)
    return b"".join(parts)
