"""Provider `http`: any endpoint that takes a POST, signed by Standard Webhooks."""

from server.providers.http.provider import HttpProvider, HttpSettings

__all__ = ["HttpProvider", "HttpSettings"]
