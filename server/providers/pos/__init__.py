"""Provider `pos`: a point of sale that tells us of its sales by webhook."""

from server.providers.pos.provider import PosProvider, PosSettings

__all__ = ["PosProvider", "PosSettings"]
