"""Logs: one JSON object a line, with the correlation id of the request or delivery it belongs to, and redacted.

One processor redacts, at the end of the chain, whoever logged: members whose names say they are secret or personal are
masked, and anything that looks like a token of ours or a bearer header is masked wherever it stands. Exceptions are
told by type and place, never with the values of local variables.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from asgi_correlation_id import correlation_id

from server.ops.alarms import ALARMS

MASK = "***"

_SECRET_NAME = re.compile(
    r"(?i)(secret|token|password|passwd|authorization|cookie|api_?key|signature|sealed|payload|body|fields"
    r"|email|phone|address|tax_code|vat_number|customer_name|supplier_name)"
)
_SECRET_TEXT = re.compile(
    r"rnt_[0-9a-f]{32}_[0-9a-f]{32}_[0-9a-f]+|whsec_[A-Za-z0-9+/=_-]+|(?i:bearer)\s+\S+|://[^/\s@]+@"
)

EventDict = MutableMapping[str, Any]


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Mask what is secret or personal, at every depth."""
    for name, value in event.items():
        event[name] = MASK if _SECRET_NAME.search(name) else _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(MASK, value)
    if isinstance(value, dict):
        return {name: MASK if _SECRET_NAME.search(str(name)) else _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _correlate(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add the request's correlation id, unless the event has one of its own."""
    current = correlation_id.get()
    if current is not None:
        event.setdefault("correlation_id", current)
    return event


def _tell_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """An exception as type and places; its message may quote a value, so it stays out."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__name__
        event["where"] = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return event


def set_up_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send our logs and the libraries' as JSON lines to `stream` (default: standard error)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _correlate,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _tell_exception,
        ALARMS.note,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first: nothing is made of what nobody will read
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "httpx", "httpcore", "uvicorn.access", "sse_starlette"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
