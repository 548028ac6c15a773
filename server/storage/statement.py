"""A statement: SQL written once with `:name` parameters, run at driver level on either database.

Where the two need different words, `postgresql` gives the other text. Names become numbered parameters when the module
is loaded, so that running one costs no parsing; values go in by name, or by position in the order of `names`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

DialectName = Literal["sqlite", "postgresql"]
Parameters = Mapping[str, Any] | Sequence[Any]

# Not a cast (::type), not a time format (HH24:MI), not a JSON member ("deleted":true).
_NAME = re.compile(r"""(?<![:\w"]):([a-z_][a-z0-9_]*)""")


class Statement:
    """SQL for both databases and the order of its parameters."""

    __slots__ = ("_names", "_texts")

    def __init__(self, text: str, *, postgresql: str | None = None, names: Sequence[str] = ()) -> None:
        """`text` serves both unless `postgresql` says otherwise; `names` fixes the order of the first parameters."""
        self._texts: dict[DialectName, str] = {}
        self._names: dict[DialectName, tuple[str, ...]] = {}
        self._compile("sqlite", text, "?", names)
        self._compile("postgresql", postgresql or text, "$", names)

    def _compile(self, dialect: DialectName, text: str, sign: str, names: Sequence[str]) -> None:
        order = {name: place for place, name in enumerate(names, 1)}

        def number(match: re.Match[str]) -> str:
            return f"{sign}{order.setdefault(match[1], len(order) + 1)}"

        self._texts[dialect] = _NAME.sub(number, " ".join(text.split()))
        self._names[dialect] = tuple(order)

    def sql(self, dialect: DialectName) -> str:
        """The text for a driver."""
        return self._texts[dialect]

    def arguments(self, dialect: DialectName, parameters: Parameters) -> Sequence[Any]:
        """Values in the driver's order."""
        if isinstance(parameters, Mapping):
            return [parameters[name] for name in self._names[dialect]]
        return parameters
