"""A sign-in under way: what the browser keeps of it, sealed, until the provider sends its person back.

Rules:

1. It is bound to its state, good for ten minutes, and readable by us alone: the verifier and the nonce are in it.
2. A place to go to afterwards is a path of this server: nothing that a browser reads as another host.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from server.auth.entrance import Place, Proven
from server.auth.errors import AccessError

LIFE_MS = 600_000
_LONGEST_PATH = 500


class Sealing(Protocol):
    """The vault, for what a browser keeps."""

    def seal(self, name: str, values: Mapping[str, str]) -> str:
        """A text only we open, under this name."""

    def open(self, name: str, sealed: str) -> Mapping[str, str] | None:
        """What was sealed under this name, or None."""


class Begun(NamedTuple):
    """What has to be remembered. `then`: a path of ours; `expires_ms` since 1970."""

    nonce: str
    verifier: str
    expires_ms: int
    place: Place
    then: str | None = None
    max_age_s: int | None = None

    def values(self) -> dict[str, str]:
        """As texts, for sealing."""
        place = self.place
        return {
            "nonce": self.nonce,
            "verifier": self.verifier,
            "expires_ms": str(self.expires_ms),
            "then": self.then or "",
            "max_age_s": "" if self.max_age_s is None else str(self.max_age_s),
            "device_name": place.device_name,
            "named": place.named or "",
            "proven": "" if place.proven is None else " ".join(place.proven),
        }

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Begun":
        """From what `values` gave."""
        proven = Proven(*values["proven"].split(" ")) if values["proven"] else None
        return cls(
            nonce=values["nonce"],
            verifier=values["verifier"],
            expires_ms=int(values["expires_ms"]),
            place=Place(values["device_name"], proven, values["named"] or None),
            then=values["then"] or None,
            max_age_s=int(values["max_age_s"]) if values["max_age_s"] else None,
        )


def seal(sealing: Sealing, state: str, begun: Begun) -> str:
    """For the browser to keep."""
    return sealing.seal(_name(state), begun.values())


def unseal(sealing: Sealing, state: str, sealed: str | None, clock: Callable[[], int]) -> Begun:
    """What the browser kept. Raises AccessError (unknown_state) where it is not of this state, or too old."""
    values = None if sealed is None or not state else sealing.open(_name(state), sealed)
    begun = None if values is None else Begun.read(values)
    if begun is None or clock() >= begun.expires_ms:
        raise unknown_state()
    return begun


def checked_path(path: str) -> str:
    """A path of this server. Raises AccessError (bad_path)."""
    begins = path.startswith("/") and not path.startswith(("//", "/\\"))
    if not begins or len(path) > _LONGEST_PATH or "\\" in path or not path.isprintable() or not path.isascii():
        raise AccessError("bad_path", "After signing in, only a path of this server can follow: /…", status=422)
    return path


def unknown_state() -> AccessError:
    """Not begun in this browser, used, or too old."""
    message = "This sign-in was not begun in this browser, was used, or is older than ten minutes: start again."
    return AccessError("unknown_state", message, status=400)


def _name(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
