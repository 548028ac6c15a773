"""The vault and endpoints."""
