"""Redaction: whatever is logged, in whatever it is wrapped, no canary comes out."""

import io
import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from server.ops.redact import MAX_TEXT, redact
from tests.ops.canaries import ALL, EMAIL, LOOKS, WORD, found_in


@dataclass
class Leaky:
    """Somebody's object, whose `repr` shows all."""

    secret: str = WORD


@pytest.mark.parametrize("canary", LOOKS)
@pytest.mark.parametrize("around", ["{}", "it said {}.", "https://x.example/{}/y", '{{"a": "{}"}}', "{}\n{}"])
def test_what_looks_secret_is_masked_in_any_text(canary: str, around: str) -> None:
    """In an event's own text too, in a key, and cut off at the end of a long one."""
    text = around.format(canary, canary)
    event: dict[str, Any] = {"event": text, "note": {"deep": [text]}, "keys": {text: 1}, "long": "x" * MAX_TEXT + text}
    assert found_in(json.dumps(redact(None, "info", event))) == []


@pytest.mark.parametrize(
    "name",
    ["password", "client_secret", "Authorization", "api_key", "X-Api-Key", "webhook-signature", "set-cookie", "body",
     "payload", "fields", "email", "phone", "billing_address", "tax_code", "iban", "customer_name", "name", "surname",
     "birth_date", "query", "params"],
)  # fmt: skip
def test_what_is_called_secret_is_masked_whole(name: str) -> None:
    """Also where it is no text, and however deep."""
    event: dict[str, Any] = {name: {"x": [WORD]}, "inner": {name: WORD, "deeper": ({name: WORD},)}}
    assert found_in(json.dumps(redact(None, "info", event))) == []


@pytest.mark.parametrize(
    "value", [Leaky(), [Leaky()], WORD.encode(), {WORD.encode()}, ValueError(WORD), Leaky, lambda: 1]
)
def test_nobody_s_repr_decides_what_a_log_holds(value: Any) -> None:
    """Objects, bytes and exceptions are told by what they are."""
    event: dict[str, Any] = {"event": "seen", "value": value}
    assert found_in(json.dumps(redact(None, "info", event))) == []


def test_what_a_person_looks_for_stays() -> None:
    """Ids, codes, counts and times come through as they are."""
    event: dict[str, Any] = {
        "event": "delivery_attempt",
        "delivery_id": "019ab697-e801-7d8e-91b7-584a2265b1f5",
        "correlation_id": "a54b6cdadf52341b89d3ae2907d83100",
        "provider": "http",
        "attempt": 3,
        "duration_ms": 12.5,
        "alarm": False,
        "code": "throttled",
        "content_type": "text/html",
        "at": "2025-11-24T10:00:00.000Z",
        "path": "/v1/webhooks/pos/019ab697e8017d8e91b7584a2265b1f5.019ab697e8017d8e91b7584a2265b1f5",
        "where": ["call.py:66 _prepare"],
    }
    assert redact(None, "info", dict(event)) == event


_JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(LOOKS) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.sampled_from(LOOKS), inner),
    max_leaves=20,
)


@given(_JSONS)
def test_any_shape_can_be_logged(value: Any) -> None:
    """And is JSON afterwards, without a canary."""
    assert found_in(json.dumps(redact(None, "info", {"event": "x", "value": value}))) == []


def _fail_with_locals() -> None:
    password, customer = WORD, {"email": EMAIL}
    raise ValueError(f"{password} {customer}")


def test_an_exception_shows_neither_message_nor_locals_nor_those_of_its_causes(lines: io.StringIO) -> None:
    """By types and places only: of itself, of what it came from, and of what a group holds."""
    try:
        try:
            _fail_with_locals()
        except ValueError as error:
            raise ExceptionGroup(WORD, [KeyError(WORD), RuntimeError(EMAIL)]) from error
    except ExceptionGroup:
        structlog.get_logger().exception("failed")
        logging.getLogger("a.library").exception("failed for %s", EMAIL)
        logging.getLogger("a.library").error("failed", exc_info=True, stack_info=True)  # noqa: G201
    assert found_in(lines.getvalue()) == []
    told = json.loads(lines.getvalue().splitlines()[0])
    assert told["exception"] == "ExceptionGroup"
    assert [cause.split()[0] for cause in told["because"]] == ["ValueError", "KeyError", "RuntimeError"]


def test_a_line_that_cannot_be_written_says_only_that(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """A library's wrong format would be printed with its arguments."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if getattr(handler, "stream", None) is lines]  # not pytest's
    logging.getLogger("a.library").warning("%d", WORD)
    shown = capsys.readouterr()
    assert found_in(lines.getvalue() + shown.err + shown.out) == []
    assert json.loads(lines.getvalue())["event"] == "log_line_failed"


def test_the_canaries_would_be_found(lines: io.StringIO) -> None:
    """Written past the processors, all of them are: the tests above can fail."""
    lines.write(" ".join(ALL))
    assert found_in(lines.getvalue()) == list(ALL)
