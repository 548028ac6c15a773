"""How an account at a provider does, in one word, and why. Pure: the time is brought along.

Rules, the first that fits:

1. `paused`: a person said so.
2. `down`: it has been failing for a while, and no call of ours reached it meanwhile; or its polls fail again and again.
   What it tells us by itself proves nothing of our calls.
3. `degraded`: something fails, is late, or waits for a person; its breaker is not closed, or the provider asked to be
   left alone.
4. `unknown`: nothing is wrong, and nothing was ever heard of it.
5. `ok`: it was in contact, and nothing is wrong. How long ago is told beside it: silence may be a closed shop.
"""

from collections.abc import Sequence
from typing import Any, Literal

from server.ops.accounts import Account, Queue
from sync.clock import decode_instant

Status = Literal["paused", "down", "degraded", "unknown", "ok"]
WORST_FIRST: tuple[Status, ...] = ("down", "degraded", "paused", "unknown", "ok")

POLLS_DOWN = 5
"""So many polls failed in a row that the account counts as down."""

LATE_S = 300
"""What should have been tried so long ago is late: nobody works, or not fast enough."""


def status_of(account: Account, now_ms: int, down_after_ms: int) -> Status:
    """The account's status."""
    if account.paused:
        return "paused"
    if is_down(account, now_ms, down_after_ms):
        return "down"
    stuck = sum(account.stuck.values())
    is_failing = account.outbox.failing_since is not None or account.inbox.failing_since is not None
    left_alone = account.not_before is not None and decode_instant(account.not_before) > now_ms
    late = max(age_s(account.outbox, now_ms), age_s(account.inbox, now_ms)) > LATE_S
    if account.breaker != "closed" or stuck or left_alone or late or account.poll_failures or is_failing:
        return "degraded"
    return "unknown" if account.in_contact_at is None else "ok"


def is_down(account: Account, now_ms: int, down_after_ms: int) -> bool:
    """Whether nothing gets through."""
    if account.poll_failures >= POLLS_DOWN:
        return True
    if account.failed_at is None or account.failed_at < (account.succeeded_at or ""):
        return False  # what fails there fails on our side
    reached_ms = 0 if account.succeeded_at is None else decode_instant(account.succeeded_at)
    return failing_s(account, now_ms) * 1000 >= down_after_ms and now_ms - reached_ms >= down_after_ms


def failing_s(account: Account, now_ms: int) -> float:
    """For how long its oldest failing delivery or event has been failing; 0 where none does."""
    since = [queue.failing_since for queue in (account.outbox, account.inbox) if queue.failing_since is not None]
    return max(((now_ms - decode_instant(at)) / 1000 for at in since), default=0)


def age_s(queue: Queue, now_ms: int) -> float:
    """How long the oldest of what waits has been waiting: since its first failure, or since it was due."""
    known = [at for at in (queue.failing_since, queue.due_at) if at is not None]
    return max([0.0, *((now_ms - decode_instant(at)) / 1000 for at in known)])


def worst(statuses: Sequence[Status]) -> Status:
    """The status of several accounts together; of none, nothing is known."""
    return next((status for status in WORST_FIRST if status in statuses), "unknown")


def describe(account: Account, refused: int | None, now_ms: int, down_after_ms: int) -> dict[str, Any]:
    """An account as `/health/integrations` shows it: ids, codes, counts and times only."""
    return {
        "endpoint_id": account.endpoint_id,
        "status": status_of(account, now_ms, down_after_ms),
        "last_success_at": account.succeeded_at,
        "last_webhook_at": account.heard_at,
        "last_failure_at": account.failed_at,
        "last_error_class": account.error_class,
        "last_error": account.error,
        "breaker": account.breaker,
        "left_alone_until": account.not_before,
        "polls_failed_in_a_row": account.poll_failures,
        "last_poll_error": account.poll_error,
        "outbox": _queue(account, "outbox", ("dead", "in_doubt"), now_ms),
        "inbox": _queue(account, "inbox", ("dead", "quarantined"), now_ms),
        "webhooks_refused_today": refused,
    }


def _queue(account: Account, name: Literal["outbox", "inbox"], states: Sequence[str], now_ms: int) -> dict[str, Any]:
    queue = account.outbox if name == "outbox" else account.inbox
    stuck = {state: account.in_state(name, state) for state in states}
    return {"waiting": queue.waiting, "oldest_s": round(age_s(queue, now_ms), 3), **stuck}
