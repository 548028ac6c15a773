"""Provider `webpush`: messages to devices, by way of their browsers' push services."""

from server.providers.webpush.provider import WebPushProvider, WebPushSettings

__all__ = ["WebPushProvider", "WebPushSettings"]
