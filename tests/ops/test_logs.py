"""Logs: JSON lines under one correlation id, and canaries that must never be found in them."""

import io
import json
import logging
from typing import Any

import structlog

from server.ops.redact import MASK

TOKEN = "rnt_" + "0a" * 16 + "_" + "0b" * 16 + "_" + "0c" * 32


def _logged(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_secrets_are_masked_wherever_they_stand(lines: io.StringIO) -> None:
    """By their name, and by their look in any text, at every depth."""
    structlog.get_logger().info(
        "sign_in",
        token="CANARY-1",
        headers={"authorization": "CANARY-2", "accept": "text/html"},
        note=[f"came with {TOKEN}", "Bearer CANARY-3", "postgresql://user:CANARY-4@host/db"],
        customer={"email": "CANARY-5", "name_length": 7},
    )
    (line,) = _logged(lines)
    assert "CANARY" not in lines.getvalue()
    assert TOKEN not in lines.getvalue()
    assert line["headers"] == {"authorization": MASK, "accept": "text/html"}
    assert line["customer"]["name_length"] == 7


def test_an_exception_is_told_by_type_and_place(lines: io.StringIO) -> None:
    """Its message may quote a value, and its traceback shows lines that hold one."""
    try:
        raise ValueError("CANARY of a customer")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("a.library").exception("failed too")
    own, foreign = _logged(lines)
    assert "CANARY" not in lines.getvalue()
    assert (own["exception"], foreign["exception"]) == ("ValueError", "ValueError")
    assert own["where"][0].endswith("test_an_exception_is_told_by_type_and_place")


def test_a_librarys_line_is_json_too(lines: io.StringIO) -> None:
    """With the same members as ours."""
    logging.getLogger("uvicorn.error").warning("hello %s", "world")
    (line,) = _logged(lines)
    assert (line["event"], line["level"], line["logger"]) == ("hello world", "warning", "uvicorn.error")
    assert line["at"].endswith("Z")
