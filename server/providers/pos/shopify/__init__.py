"""Provider `shopify`: signed webhooks carry whole orders, a list by last update finds the rest."""

from server.providers.pos.shopify.provider import ShopifyProvider, ShopifySettings

__all__ = ["ShopifyProvider", "ShopifySettings"]
