"""Logs and what must never be in them."""
