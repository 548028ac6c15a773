"""What is logged meanwhile, as a server writes it; the set-up before is put back."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from server.ops.logs import set_up_logs


@contextmanager
def logged(level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Everything logged at this level or above, one JSON document a line."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, before = root.handlers, root.level
    set_up_logs(level, stream)
    try:
        yield stream
    finally:
        root.handlers = handlers
        root.setLevel(before)
        structlog.reset_defaults()
