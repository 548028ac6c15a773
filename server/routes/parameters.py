"""Parameters of an address: declared once, described in the document, and parsed by that same declaration.

What is not declared is refused, and so is what comes twice: a misspelt `after` would give the first page for ever.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from sync.errors import RequestError


class BadParameterError(RequestError):
    """A parameter of the address is missing, unknown, given twice, or not of its form."""

    code = "bad_parameter"


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` is a pydantic annotation; without `required` an absent one is `default`."""

    name: str
    check: Any
    description: str
    place: Literal["query", "path"] = "query"
    required: bool = True
    default: Any = None

    def describe(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        schema = TypeAdapter(self.check).json_schema()
        if self.default is not None:
            schema["default"] = self.default
        about = {"name": self.name, "in": self.place, "required": self.required, "description": self.description}
        return {**about, "schema": schema}

    def parse(self, given: Mapping[str, str]) -> Any:
        """Its value. Raises BadParameterError, which names the parameter and never quotes the value."""
        if self.name not in given:
            if self.required:
                raise BadParameterError(f"the parameter {self.name} is missing", parameter=self.name)
            return self.default
        try:
            return TypeAdapter[Any](self.check).validate_strings(given[self.name])
        except ValidationError:
            raise BadParameterError(f"the parameter {self.name} is not of its form", parameter=self.name) from None


def parse_parameters(request: Request[Any], declared: Sequence[Parameter]) -> dict[str, Any]:
    """The values of all declared parameters. Raises BadParameterError."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if counts.keys() - {parameter.name for parameter in declared if parameter.place == "query"}:
        raise BadParameterError("this address takes no such parameter: see /openapi.json")
    for name, times in counts.items():
        if times > 1:
            raise BadParameterError(f"the parameter {name} is given more than once", parameter=name)
    places = {"query": request.query_params, "path": request.path_params}
    return {parameter.name: parameter.parse(places[parameter.place]) for parameter in declared}
