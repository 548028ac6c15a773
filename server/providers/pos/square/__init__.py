"""Provider `square`: every sale and return of Square is an order; webhooks wake a fetch, a search finds the rest."""

from server.providers.pos.square.provider import SquareProvider, SquareSettings

__all__ = ["SquareProvider", "SquareSettings"]
