"""What is synced: one file a collection, one SQLModel class each. `MODELS` lists them all."""

from functools import cache

from server.collections.closures import Closure
from server.collections.conflicts import Conflict
from server.collections.customers import ROUTES as CUSTOMER_ROUTES
from server.collections.customers import Customer
from server.collections.invoices import Invoice
from server.collections.issued_invoices import ROUTES as ISSUED_ROUTES
from server.collections.issued_invoices import IssuedInvoice
from server.collections.payments import Payment
from server.collections.products import Product
from server.collections.quarantined import Quarantined
from server.collections.reconciliations import Reconciliation
from server.collections.sales import ROUTES as SALES_ROUTES
from server.collections.sales import Sale
from server.collections.subscriptions import Subscription
from server.ports import Route
from sync.protocol import Registry

OLDEST_SCHEMA = 1
"""Apps built for less are told to update, and get no pages they could not read; what they queued is always taken."""

MODELS = (
    *(Sale, Product, Customer, Invoice, IssuedInvoice, Conflict, Quarantined, Payment, Subscription, Closure),
    Reconciliation,
)


@cache
def registry() -> Registry:
    """The collections of this server, described; made once, for it holds nothing that changes."""
    return Registry(MODELS)


def routes() -> tuple[Route, ...]:
    """What of it goes on to providers, where a tenant binds an endpoint."""
    return (*SALES_ROUTES, *CUSTOMER_ROUTES, *ISSUED_ROUTES)
