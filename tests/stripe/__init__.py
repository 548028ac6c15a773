"""Stripe: its adapter against servers that behave like it."""
