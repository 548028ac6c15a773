"""Logs: one JSON object a line, with the correlation id of the request or delivery it belongs to, and redacted.

One processor redacts, at the end of the chain, whoever logged (`server.ops.redact`). Exceptions are told by type and
place, never with their messages, source lines or the values of local variables; a line that cannot be written says so,
and nothing of what it would have said.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from asgi_correlation_id import correlation_id

from server.ops.alarms import ALARMS
from server.ops.redact import redact

EventDict = MutableMapping[str, Any]

MOST_FRAMES = 8
MOST_CAUSES = 8


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
        event["exception"], event["where"] = type(error).__name__, _where(error)
        causes = [f"{type(cause).__name__} at {''.join(_where(cause)[-1:])}" for cause in _causes(error)]
        if causes:
            event["because"] = causes
    return event


def _where(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__, limit=-MOST_FRAMES)
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What it came from, and what a group of them holds."""
    waiting = [error]
    for _ in range(MOST_CAUSES):
        if not waiting:
            return
        one = waiting.pop(0)
        if one is not error:
            yield one
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [cause for cause in (one.__cause__ or one.__context__, *inner) if cause is not None]


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; of one that cannot be written, the library would print the arguments as they are."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
        """Say that a line is missing, and whose."""
        with suppress(Exception):
            line = {"event": "log_line_failed", "level": "error", "logger": record.name, "lineno": record.lineno}
            self.stream.write(json.dumps(line) + self.terminator)


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
    handler = _Handler(stream or sys.stderr)
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
