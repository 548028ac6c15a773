"""Provider `sumup`: it signs nothing, so its webhooks are hints; the transaction that is fetched is what counts."""

from server.providers.pos.sumup.provider import SumUpProvider, SumUpSettings

__all__ = ["SumUpProvider", "SumUpSettings"]
