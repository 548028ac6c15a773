"""Reads typed fields from elements, as their models say where they stand, and remembers what was understood."""

from collections import Counter
from collections.abc import Container, Iterator
from itertools import islice
from typing import Any, Final, TypeVar
from xml.etree.ElementTree import Element

from server.providers.sdi import model
from server.providers.sdi.fields import At, Frozen, UnreadableInvoiceError

MAX_UNKNOWN: Final = 2000
"""So many texts are kept of what no field holds: far more than an invoice has, far fewer than a hostile file."""
_T = TypeVar("_T", bound=Frozen)


class Reader:
    """Reads typed fields from elements, and remembers which elements were understood."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._read: set[Element] = set()

    def read(self, kind: type[_T], at: Element, **others: Any) -> _T:
        """A `kind` from the element `at`, and from `others` what stands elsewhere."""
        return kind(**self.fields(kind, at), **others)

    def each(self, kind: type[_T], at: Element, path: str) -> tuple[_T, ...]:
        """One `kind` from every element at `path`."""
        return tuple(self.read(kind, element) for element in at.iterfind(path))

    def fields(self, kind: type[Frozen], at: Element) -> dict[str, Any]:
        """The values of those fields of `kind` that say where they stand."""
        places = ((name, place) for name, info in kind.model_fields.items() for place in info.metadata)
        return {name: self.take(at, place) for name, place in places if isinstance(place, At)}

    def take(self, at: Element, place: At) -> Any:
        """One value, or None; raises where the field is decisive."""
        found = at.find(place.path)
        text = "" if found is None else (found.text or "").strip()
        value = place.read(text) if text else None
        if found is not None and (value is not None or not text):
            self._read.add(found)
        name = place.path.rpartition("/")[2]
        if text and value is None and place.fault:
            raise UnreadableInvoiceError(place.fault, f"{name} cannot be read.")
        if not text and place.required:
            raise UnreadableInvoiceError("missing_element", f"{name} is missing.")
        return value

    def text(self, at: Element) -> str | None:
        """What an element itself says."""
        return self.take(at, At(".", str))  # type: ignore[no-any-return]  # a str is read by str

    def unknown(self, at: Element, but: Container[str] = ()) -> tuple[model.UnknownElement, ...]:
        """The texts below `at` that no field took, in order; where an element repeats, its path says which one."""
        return tuple(islice(self._unknown(at, "", but), MAX_UNKNOWN))

    def _unknown(self, at: Element, path: str, but: Container[str] = ()) -> Iterator[model.UnknownElement]:
        again, seen = Counter(child.tag for child in at), Counter[str]()
        for child in at:
            seen[child.tag] += 1
            if child.tag in but:
                continue
            step = f"{child.tag}[{seen[child.tag]}]" if again[child.tag] > 1 else child.tag
            if child not in self._read and (text := (child.text or "").strip()):
                yield model.UnknownElement(path=path + step, text=text)
            if len(child):
                yield from self._unknown(child, f"{path}{step}/")
