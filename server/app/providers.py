"""Every provider there is: those named here, a line each, and those that `RIENTRO_PROVIDERS` names.

A module of its own (any package that can be imported) has `PROVIDER`, the adapter's class, and `ROUTES`, what of which
collection goes to it. It runs inside this process with everything that has: name only what you would install.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel

from server.adapter import Adapter
from server.collections import routes
from server.outbound import Outbound
from server.ports import Route, Subscriptions
from server.providers.http.provider import HttpProvider
from server.providers.pos.provider import PosProvider
from server.providers.pos.shopify import ShopifyProvider
from server.providers.pos.square import SquareProvider
from server.providers.pos.sumup import SumUpProvider
from server.providers.sdi.adapter import SdiProvider
from server.providers.sdi.coop.provider import SdiCoopProvider
from server.providers.sdi.fic.provider import FicProvider
from server.providers.stripe.provider import StripeProvider
from server.providers.webpush import WebPushProvider
from server.settings import SettingsError
from server.webpush.composing import ROUTE as WEBPUSH_ROUTE


class Kind(NamedTuple):
    """A kind of provider: its name, the form of an account's settings, and how an adapter is made."""

    name: str
    settings: type[BaseModel]
    make: Callable[[Outbound, Callable[[], int]], Adapter]


@dataclass(frozen=True)
class Kinds:
    """The kinds of providers of this server, and what goes to them."""

    kinds: Sequence[Kind]
    routes: Sequence[Route]

    @property
    def forms(self) -> Mapping[str, type[BaseModel]]:
        """The form of an account's settings, by provider."""
        return {kind.name: kind.settings for kind in self.kinds}

    def adapters(self, outbound: Outbound, clock: Callable[[], int]) -> Sequence[Adapter]:
        """All adapters, sharing one way out."""
        return [kind.make(outbound, clock) for kind in self.kinds]


OWN = (
    Kind(HttpProvider.name, HttpProvider.settings, HttpProvider),
    Kind(PosProvider.name, PosProvider.settings, PosProvider),
    Kind(SquareProvider.name, SquareProvider.settings, SquareProvider),
    Kind(ShopifyProvider.name, ShopifyProvider.settings, ShopifyProvider),
    Kind(SumUpProvider.name, SumUpProvider.settings, SumUpProvider),
    Kind(SdiProvider.name, SdiProvider.settings, SdiProvider),
    Kind(FicProvider.name, FicProvider.settings, FicProvider),
    Kind(StripeProvider.name, StripeProvider.settings, StripeProvider),
    Kind(SdiCoopProvider.name, SdiCoopProvider.settings, SdiCoopProvider),
)


def square_kind(public_url: str | None) -> Kind:
    """Square: it signs the address it sends to, so its adapter knows where this server is reached."""
    return Kind(SquareProvider.name, SquareProvider.settings, partial(SquareProvider, public_url=public_url))


def webpush_kind(subscriptions: Subscriptions) -> Kind:
    """Web push: its adapter asks, at each attempt, how a device is reached."""
    make = partial(WebPushProvider, subscriptions=subscriptions)
    return Kind(WebPushProvider.name, WebPushProvider.settings, make)


def load_kinds(modules: Sequence[str], *more: Kind) -> Kinds:
    """Our own kinds, those made at the start (`more`, which stand for one of ours), and those of `modules`.

    Raises SettingsError.
    """
    loaded = [_load(name) for name in modules]
    made = {kind.name for kind in more}
    kinds = [*(kind for kind in OWN if kind.name not in made), *more, *(kind for kind, _ in loaded)]
    declared = [*routes(), WEBPUSH_ROUTE, *(route for _, its in loaded for route in its)]
    for what, names in (("providers", [kind.name for kind in kinds]), ("routes", [route.name for route in declared])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError(f"RIENTRO_PROVIDERS: two {what} are named {', '.join(twice)}")
    return Kinds(kinds, declared)


def _load(name: str) -> tuple[Kind, Sequence[Route]]:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(f"RIENTRO_PROVIDERS: {name} cannot be imported: {error}") from None
    provider: Any = getattr(module, "PROVIDER", None)
    if provider is None:
        raise SettingsError(f"RIENTRO_PROVIDERS: {name} has no PROVIDER")
    return Kind(provider.name, provider.settings, provider), getattr(module, "ROUTES", ())
