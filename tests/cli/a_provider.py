"""A module as `RIENTRO_PROVIDERS` names it, with a provider whose name is taken."""

from server.providers.http.provider import HttpProvider

PROVIDER = HttpProvider
