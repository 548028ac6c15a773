"""The way out: the one place that makes HTTP clients, and what a request proves itself with."""

from server.outbound.client import MAX_ANSWER_BYTES, Outbound, Reply, open_outbound
from server.outbound.form import Credentials
from server.outbound.guard import GuardedBackend, OutboundError, Reason, check_url

__all__ = [
    "MAX_ANSWER_BYTES",
    "Credentials",
    "GuardedBackend",
    "Outbound",
    "OutboundError",
    "Reason",
    "Reply",
    "check_url",
    "open_outbound",
]
