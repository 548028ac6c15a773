"""Reading a request's body within bounds, inflating gzip within the same bounds: a small bomb does not grow.

It is read once: a signed request was read before its route asks for it.
"""

import zlib

from starlette.requests import Request

from server.routes.raw import read_raw
from server.routes.state import State
from sync.errors import MalformedError, TooLargeError, UnsupportedError

_GZIP = 16 + zlib.MAX_WBITS


class UnsupportedEncodingError(UnsupportedError):
    """The body's Content-Encoding is not understood: send it plain or as gzip."""

    code = "unsupported_encoding"
    status_hint = 415


async def read_body(request: Request[State], limit: int) -> bytes:
    """At most `limit` bytes, also after inflation.

    Raises TooLargeError naming the limit, MalformedError for broken gzip, UnsupportedEncodingError.
    """
    body = await read_raw(request, limit)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        return _inflate(body, limit)
    if encoding != "identity":
        raise UnsupportedEncodingError
    return body


def _inflate(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise MalformedError("the body is not valid gzip") from None
    if len(plain) > limit:
        raise TooLargeError(f"at most {limit} bytes after inflation", limit_bytes=limit)
    if not inflater.eof or inflater.unused_data:
        raise MalformedError("the body is not one whole gzip stream")
    return plain
