"""What an endpoint's answer to a harmless question says of its health.

A page declared for the purpose (`health_url`) means what it says. Without one, OPTIONS goes to where deliveries go:
that shows that somebody answers there, and whether it would send us elsewhere; more only a delivery can show.
"""

from server.adapter import Health
from server.outbound import Reply


def judge(reply: Reply, *, declared: bool) -> Health:
    """The answer of a page that was `declared` for it, or of the address of deliveries."""
    good, said = _declared(reply) if declared else _undeclared(reply.status)
    return Health(good, said, reply.status)


def _declared(reply: Reply) -> tuple[bool, str]:
    said = "it says that it works" if reply.is_success else f"its health_url answers {reply.status}, not 2xx"
    return reply.is_success, said


def _undeclared(status: int) -> tuple[bool, str]:
    match status // 100:
        case 3:
            return False, f"it answers {status} and sends us elsewhere: configure the final address"
        case 5:
            return status == 501, f"it answers {status}" + (" to OPTIONS, as it may" if status == 501 else "")  # noqa: PLR2004
        case _ if status in {401, 403}:
            return (
                True,
                f"it answers, and refuses ({status}) what is not signed: whether it lets us in, a delivery shows",
            )
        case _:
            return True, f"it answers ({status}): whether it takes deliveries, one of them shows"
