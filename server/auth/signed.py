"""Signed requests: a key that signs is let in by a good signature over its very request, once.

Rules:

1. The signature covers id, time, method, address and the body's raw bytes, by the key's own secret.
2. Its time may lie 300 s from ours, before or after. That is judged once the signature was found good: of a forgery,
   nobody shall learn about our clock.
3. An id is good once. It is kept until its time would be refused anyway, and a minute more, for another process's
   clock may be behind.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from server.auth.errors import AccessError
from server.auth.guard import Known
from server.auth.spent import spend
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.signing import ID, SIGNATURE, TIMESTAMP, Signed, is_signed_by

TOLERANCE_S = 300
_MARGIN_S = 60
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SECONDS = re.compile(r"[1-9][0-9]{0,10}")


class Asked(NamedTuple):
    """A request as it came: headers by their lower-case names, path and query as in its first line, the raw body."""

    method: str
    target: bytes
    headers: Mapping[str, str]
    body: bytes


class SignedRequests:
    """Checks the requests of keys that sign."""

    def __init__(self, writer: Writer, unseal: Callable[[str, str, str], str], clock: Callable[[], int]) -> None:
        """`unseal` takes tenant, key and what is sealed; `clock` gives milliseconds."""
        self._writer, self._unseal, self._clock = writer, unseal, clock

    async def check(self, known: Known, asked: Asked) -> None:
        """Let a request pass, once. Raises AccessError (unsigned, bad_signature, stale_signature, replayed)."""
        assert known.signing is not None
        assert known.key_id is not None
        tenant_id = known.principal.tenant_id
        signed = verify(self._unseal(tenant_id, known.key_id, known.signing), asked)
        until_s = int(signed.timestamp) + TOLERANCE_S
        if not until_s - 2 * TOLERANCE_S <= self._clock() / 1000 <= until_s:
            raise AccessError("stale_signature", "The request was signed at another time: is the clock right?")
        what = f"signed {known.key_id} {signed.request_id}"

        async def job(writing: Writing) -> bool:
            return await spend(writing, tenant_id, what, (until_s + _MARGIN_S) * 1000)

        try:
            is_first = await self._writer.submit(Job([tenant_id], job))
        except UnknownTenantError:
            is_first = False
        if not is_first:
            raise AccessError("replayed", "This very request came before: sign each one anew.")


def verify(secret: str, asked: Asked) -> Signed:
    """What was signed, where it was by this secret. Raises AccessError (unsigned, bad_signature)."""
    request_id, timestamp, given = (asked.headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not _ID.fullmatch(request_id) or not _SECONDS.fullmatch(timestamp) or not given:
        raise AccessError("unsigned", f"This key signs its requests: {ID}, {TIMESTAMP} and {SIGNATURE} must come.")
    signed = Signed(request_id, timestamp, asked.method, asked.target, asked.body)
    if not is_signed_by(secret, signed, given):
        raise AccessError("bad_signature", "The signature does not fit this request.")
    return signed
