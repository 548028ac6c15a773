"""What is synced: one file a collection, one SQLModel class each. `MODELS` lists them all."""

from server.collections.customers import Customer
from server.collections.invoices import Invoice
from server.collections.products import Product
from server.collections.sales import Sale
from sync.protocol import Registry

MODELS = (Sale, Product, Customer, Invoice)


def registry() -> Registry:
    """The collections of this server, described."""
    return Registry(MODELS)
