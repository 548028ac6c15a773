"""Records that move: no collection of the shop does so, so products are bent to belong to their category's shop."""

from dataclasses import replace

from server.collections import MODELS
from sync.collection import Audience, Collection
from sync.protocol import Registry

SHOPS = ("nord", "sud", "est")


def moving_registry() -> Registry:
    """The shop's collections, with products that move."""
    registry = Registry(MODELS)
    products = registry.collections["products"]
    by_category = Audience("shop", lambda fields: f"shop:{fields['category']}")
    moving = Collection(replace(products.options, audience=by_category), products.model, products.fields)
    registry.collections = {**registry.collections, "products": moving}
    return registry
