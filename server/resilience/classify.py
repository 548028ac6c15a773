"""Which class a failure is of, as data: by HTTP status, by why there was no answer, by exception.

`maybe_done` says whether the provider may have acted although we were not told: a repeated `once` operation would then
risk a second effect. An answer that can only have been given before acting (429, 4xx) rules it out, a 5xx does not.
"""

from collections.abc import Mapping
from typing import NamedTuple

from server.resilience.errors import DeliveryError, ErrorClass


class Classified(NamedTuple):
    """A failure's class (None: it is a success), a stable word for it, and whether it may have taken effect."""

    error_class: ErrorClass | None
    code: str
    maybe_done: bool = False


SUCCESS = Classified(None, "ok")
NOT_FORESEEN = Classified("unknown", "unexpected_error", maybe_done=True)

_BY_STATUS: Mapping[int, Classified] = {
    400: Classified("permanent", "bad_request"),
    401: Classified("permanent", "unauthorized"),
    402: Classified("answered", "refused"),
    403: Classified("permanent", "forbidden"),
    404: Classified("permanent", "not_found"),
    408: Classified("transient", "request_timeout", maybe_done=True),
    409: Classified("transient", "in_use", maybe_done=True),  # another request with this key is still at work
    410: Classified("permanent", "gone"),
    422: Classified("permanent", "unprocessable"),
    425: Classified("transient", "too_early"),
    429: Classified("transient", "throttled"),
}
_BY_FAMILY: Mapping[int, Classified] = {
    2: SUCCESS,
    3: Classified("permanent", "redirected"),
    4: Classified("unknown", "unexpected_status"),
    5: Classified("transient", "server_error", maybe_done=True),
}
_BY_REASON: Mapping[str, Classified] = {
    "bad_url": Classified("permanent", "bad_url"),
    "insecure_url": Classified("permanent", "insecure_url"),
    "private_address": Classified("permanent", "private_address"),
    "unsendable": Classified("permanent", "unsendable"),
    "unresolved": Classified("transient", "name_not_found"),
    "connect": Classified("transient", "connect_failed"),
    "connect_timeout": Classified("transient", "connect_timeout"),
    "pool_timeout": Classified("transient", "pool_timeout"),
    "tls": Classified("unknown", "tls_failed"),
    "certificate_refused": Classified("permanent", "certificate_refused"),
    "write": Classified("transient", "write_failed", maybe_done=True),
    "read": Classified("transient", "answer_lost", maybe_done=True),
    "read_timeout": Classified("transient", "answer_timeout", maybe_done=True),
    "not_sent": Classified("unknown", "not_sent"),  # it was only looked at
    "deadline": Classified("transient", "deadline", maybe_done=True),
}


def classify_status(status: int) -> Classified:
    """By an HTTP status."""
    known = _BY_STATUS.get(status)
    if known is None:
        known = _BY_FAMILY.get(status // 100, Classified("unknown", "unexpected_status", maybe_done=True))
    return known


def classify_reason(reason: str) -> Classified:
    """By why a request brought no answer; the words are `server.outbound`'s."""
    return _BY_REASON.get(reason, NOT_FORESEEN)


def classify_error(error: Exception) -> Classified:
    """By what a provider raised."""
    if isinstance(error, DeliveryError):
        return Classified(error.error_class, error.code, error.maybe_done)
    return classify_reason("deadline") if isinstance(error, TimeoutError) else NOT_FORESEEN
