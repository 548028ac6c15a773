"""One request, one answer: what crosses the network, and what each way of not getting an answer means.

Trouble is told from refusal by the problem's `code`: a hotel's sign-in page or a proxy may answer with any status, and
must neither sign anybody out nor stop a queue for good.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from sync.client.answer import Answer, Problem, parse_answer, parse_problem
from sync.client.errors import (
    BatchTooLargeError,
    ClientError,
    ForeignQueueError,
    ForkedError,
    GapError,
    RefusedError,
    SignedOutError,
    TenantGoneError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    UpdateNeededError,
)
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.taking import Outgoing
from sync.version import PROTOCOL_VERSION

_LATER = frozenset((408, 425, 429, 500, 502, 503, 504))
_GZIP_LEVEL = 5
_NUMBERING = {"client_forked": ForkedError, "mutation_gap": GapError}
_HELD: Mapping[int, type[ClientError]] = {401: SignedOutError, 403: RefusedError, 410: TenantGoneError}


BROKEN = (httpx.RequestError, AttributeError)
"""What ends a request that brought no answer. A connection that is cut off while it is made has no peer on uvloop."""


class Transport:
    """Speaks to one server with one token."""

    def __init__(self, http: httpx.AsyncClient, url: str, options: Options, runtime: Runtime) -> None:
        """`url` is the server's address without a path of the protocol."""
        self._http, self._url, self._options, self._runtime = http, url.rstrip("/"), options, runtime
        self.token = ""

    async def sync(self, outgoing: Outgoing) -> Answer:
        """Send and wait. Raises TroubleError, BatchTooLargeError, NumberingError, HeldError."""
        body = encode_request(outgoing, self._options)
        headers = {**self.headers(), "Content-Type": "application/json"}
        if len(body) > self._options.gzip_over_bytes:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        try:
            response = await self._http.post(f"{self._url}/v1/sync", content=body, headers=headers)
        except BROKEN as error:
            raise UnreachableError(f"no answer ({type(error).__name__})") from error
        if response.status_code != httpx.codes.OK:
            raise refusal(response, self._runtime.clock_ms)
        return parse_answer(response.content)

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}", "X-Request-ID": self._runtime.request_id()}

    def live_url(self) -> str:
        """Where pokes come from."""
        return f"{self._url}/v1/live"


def encode_request(outgoing: Outgoing, options: Options) -> bytes:
    """The request's JSON; mutations are JSON already and are not read again."""
    envelope = {
        "protocol": PROTOCOL_VERSION,
        "client_id": outgoing.client_id,
        "epoch": outgoing.epoch,
        "cursor": outgoing.cursor,
        "collections": options.collections,
        "limit": options.page,
        **({} if options.schema is None else {"schema": options.schema}),
        **({} if outgoing.resume_from is None else {"resume_from": outgoing.resume_from}),
    }
    return f'{json.dumps(envelope)[:-1]}, "mutations": [{",".join(outgoing.mutations)}]}}'.encode()


def refusal(response: httpx.Response, clock_ms: Callable[[], int]) -> ClientError:
    """The error that an answer other than 200 means."""
    status, problem = response.status_code, parse_problem(response.content)
    code, said = problem.get("code"), problem.get("detail") or f"the server answered {status}"
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return BatchTooLargeError(said, reason=code)
    if status in _LATER:
        return UnavailableError(said, reason=code, retry_after_s=retry_after_s(response, clock_ms))
    if code is None or status < httpx.codes.BAD_REQUEST or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return UnexpectedAnswerError(f"the answer has status {status} and is not this server's", reason=code)
    if status == httpx.codes.CONFLICT:
        return _numbering(problem, code, said)
    if code == "foreign_client":
        return ForeignQueueError(said, reason=code)
    return _HELD.get(status, UpdateNeededError)(said, reason=code)


def _numbering(problem: Problem, code: str, said: str) -> ClientError:
    kind, last = _NUMBERING.get(code), problem.get("last_mutation_id")
    if kind is None or last is None:
        return UnexpectedAnswerError("a conflict that is not the protocol's", reason=code)
    return kind(said, reason=code, verdicts=problem.get("verdicts", ()), last_mutation_id=last)


def retry_after_s(response: httpx.Response, clock_ms: Callable[[], int]) -> float | None:
    """Seconds to wait as `Retry-After` says it: a number, or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.fromtimestamp(clock_ms() / 1000, UTC)).total_seconds())
