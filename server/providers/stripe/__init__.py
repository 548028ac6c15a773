"""Provider `stripe`: customers, payments, refunds and subscriptions at Stripe, and what Stripe tells of them."""

from server.providers.stripe.provider import StripeProvider
from server.providers.stripe.settings import StripeSettings

__all__ = ["StripeProvider", "StripeSettings"]
