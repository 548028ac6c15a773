"""Every provider there is, named here and nowhere else: a new one is a folder and its lines on this page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from server.outbound import Outbound
from server.ports import Provider, Source
from server.providers.http.provider import HttpProvider
from server.providers.pos.provider import PosProvider
from server.providers.sdi.adapter import SdiProvider

FORMS: Mapping[str, type[BaseModel]] = {
    HttpProvider.name: HttpProvider.settings,
    PosProvider.name: PosProvider.settings,
    SdiProvider.name: SdiProvider.settings,
}
"""The form of an endpoint's settings, by provider."""


@dataclass(frozen=True)
class Adapters:
    """Providers as the two engines see them: those that are told, and those that tell."""

    providers: tuple[Provider, ...]
    sources: tuple[Source, ...]


def make_adapters(outbound: Outbound, clock: Callable[[], int]) -> Adapters:
    """All adapters, sharing one way out."""
    http, pos, sdi = HttpProvider(outbound, clock), PosProvider(outbound, clock), SdiProvider(outbound, clock)
    return Adapters(providers=(http, pos, sdi), sources=(http, pos, sdi))
