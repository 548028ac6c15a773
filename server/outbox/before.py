"""Before a call: whether a delivery is sent, looked up first, left for later, or ended without a call. Pure.

Rules:

1. What is certain not to have taken effect is sent; past its `not_after` it dies of it, untried.
2. What may have taken effect follows its operation's promise. `repeatable`: sent. `once`: in doubt, for a person.
   `keyed`: sent under the same key, as long as the provider honours that. `lookup`, and `keyed` with an older key:
   looked up, and sent where there is nothing.
3. Past its `not_after` nothing is sent again, but what may have taken effect is looked up, for then it did.
4. Where a look-up is needed and there is none, it is in doubt. A look-up proves that there is nothing only later than
   the provider's lag after the last call, so it waits until then.
5. A compensation goes only where something took effect (`past`). Of a delivery whose route is gone nobody can say
   whether it is one: where others by another operation came before it, it is in doubt.
"""

from typing import Literal, NamedTuple

from server.outbox.claim import Claimed
from server.ports import Operation, Route
from server.resilience.classify import Classified
from sync.clock import decode_instant

TOO_LATE = Classified("permanent", "too_late")
_NEEDLESS = Classified("permanent", "nothing_to_take_back")
_UNKNOWABLE = Classified("unknown", "maybe_nothing_to_take_back", maybe_done=True)
_NO_ROUTE = Classified("unknown", "no_such_route", maybe_done=True)
_MAYBE_DONE = Classified("unknown", "maybe_done", maybe_done=True)
_KEY_EXPIRED = Classified("unknown", "key_expired", maybe_done=True)
_LATE_IN_DOUBT = Classified("unknown", "too_late", maybe_done=True)


class Sent(NamedTuple):
    """When earlier attempts may have reached the provider, in ms: not before `first_ms`, not after `last_ms`."""

    first_ms: int
    last_ms: int


class Ask(NamedTuple):
    """Call the provider: `look` for an earlier effect first; without `send` do nothing else."""

    look: bool = False
    send: bool = True


class Later(NamedTuple):
    """Not before then."""

    due_ms: int


class End(NamedTuple):
    """It ends here, without a call."""

    state: Literal["dead", "in_doubt", "cancelled"]
    classified: Classified


Step = Ask | Later | End
"""What comes next for a claimed delivery."""

SEND = Ask()


def wants_times(operation: Operation, claimed: Claimed) -> bool:
    """Whether it matters when earlier attempts were made."""
    return claimed.ambiguous and (operation.key_life_s is not None or operation.lag_s > 0)


def before_call(claimed: Claimed, operation: Operation, route: Route | None, sent: Sent | None, now_ms: int) -> Step:
    """The next step; `route` is its own, if there is one still; `sent` is known where `wants_times` says so."""
    end = _judged(claimed, route)
    if end is not None:
        return end
    is_late = claimed.not_after is not None and now_ms > decode_instant(claimed.not_after)
    if not claimed.ambiguous:
        return End("dead", TOO_LATE) if is_late else SEND
    return _doubted(operation, sent, now_ms, is_late=is_late)


def _judged(claimed: Claimed, route: Route | None) -> End | None:
    """How it ends by what became of those before it in its lane, if it does."""
    past = claimed.past
    if past is None or not past.known:
        return None
    if route is None:
        return None if claimed.operation == past.first else End("in_doubt", _NO_ROUTE)
    if claimed.operation != route.compensation or past.effective:
        return None
    return End("cancelled", _NEEDLESS) if past.is_void else End("in_doubt", _UNKNOWABLE)


def _doubted(operation: Operation, sent: Sent | None, now_ms: int, *, is_late: bool) -> Step:
    if operation.promise == "repeatable":
        return End("dead", TOO_LATE) if is_late else SEND
    if operation.promise == "once":
        return End("in_doubt", _MAYBE_DONE)
    if operation.promise == "keyed" and not is_late and _is_honoured(operation, sent, now_ms):
        return SEND
    if operation.look_up is None:
        return End("in_doubt", _LATE_IN_DOUBT if is_late else _KEY_EXPIRED)
    visible_ms = 0 if sent is None else sent.last_ms + int(operation.lag_s * 1000)
    if now_ms <= visible_ms and operation.lag_s:
        return Later(visible_ms + 1)
    return Ask(look=True, send=not is_late)


def _is_honoured(operation: Operation, sent: Sent | None, now_ms: int) -> bool:
    """Whether the provider still knows the key when a call that begins now arrives."""
    if operation.key_life_s is None:
        return True
    return sent is not None and now_ms + _MARGIN_MS < sent.first_ms + int(operation.key_life_s * 1000)


_MARGIN_MS = 60_000
"""How long a call may be on its way, and two clocks apart."""
