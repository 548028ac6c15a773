"""Reading JSON from strangers: what nobody can hold in one mutation must not hold up a whole queue."""

import json
import re
from math import isfinite
from typing import Any

from sync.errors import MalformedError

_MAX_DEPTH = 32
_MAX_DIGITS = 100
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
"""A string, ended or not (each is looked at once, so that no text takes long), or a bracket."""


def decode_json(body: bytes) -> Any:
    """JSON, read the forgiving way: what nobody can hold in one mutation must not hold up a whole queue.

    Bytes that are no UTF-8 become lone surrogates, numbers beyond every language an object, for no field takes either;
    what is nested too deeply becomes its own text. So all of it can be kept and stored.
    """
    try:
        text = body.decode("utf-8", "surrogateescape")
        if text.count("[") + text.count("{") > _MAX_DEPTH:  # else nothing in it can be nested so deeply
            text = _flattened(text)
        return json.loads(text, parse_int=_integer, parse_float=_real, parse_constant=_unreadable)
    except ValueError as error:
        raise MalformedError(f"the body is not JSON ({type(error).__name__})") from None


def _flattened(text: str) -> str:
    """The document with each value that is nested deeper than `_MAX_DEPTH` as a string of its JSON."""
    parts: list[str] = []
    depth = begin = done = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            begin = token.start() if depth == _MAX_DEPTH + 1 else begin
        elif token[0] in "]}":
            if depth == _MAX_DEPTH + 1:
                parts += (text[done:begin], json.dumps(text[begin : token.end()]))
                done = token.end()
            depth -= 1
    if depth > _MAX_DEPTH:
        raise ValueError("it never ends")
    return "".join(parts) + text[done:]


def _integer(text: str) -> Any:
    return int(text) if len(text) <= _MAX_DIGITS else _unreadable(text)


def _real(text: str) -> Any:
    value = float(text)
    return value if isfinite(value) else _unreadable(text)


def _unreadable(text: str) -> Any:
    return {"unreadable": text}
