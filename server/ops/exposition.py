"""Figures as Prometheus reads them, beside the process's own counts. Accounts are labelled by opaque ids."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server import meters
from server.ops.accounts import MOST_COUNTED, Account
from server.ops.endings import Ending
from server.ops.figures import Figures
from server.ops.integrations import WORST_FIRST, age_s, status_of
from server.ops.keys import KeyEnding
from sync.clock import decode_instant

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ACCOUNT = ("provider", "endpoint")
_PER_ACCOUNT = {
    "outbox_waiting": f"Deliveries that wait or are under way; {MOST_COUNTED} are that many or more.",
    "outbox_oldest_seconds": "For how long the oldest of them has waited.",
    "outbox_dead": "Deliveries given up: for a person.",
    "outbox_in_doubt": "Deliveries nobody can know the effect of: for a person.",
    "inbox_waiting": f"Events that wait or are being processed; {MOST_COUNTED} are that many or more.",
    "inbox_oldest_seconds": "For how long the oldest of them has waited.",
    "inbox_dead": "Events given up: for a person.",
    "inbox_quarantined": "Events that cannot be used as they are: for a person.",
    "breaker_open": "Whether its breaker is open or half open: it is left alone, or probed.",
    "integration_poll_failures": "Polls that failed in a row.",
    "integration_since_timestamp_seconds": "When the account was made.",
}


class _Given(Collector):
    """Metrics made beforehand."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """As they are."""
        return self._metrics


def expose(figures: Figures, down_after_ms: int) -> bytes:
    """Everything, in the text format."""
    registry = CollectorRegistry()
    registry.register(_Given(_families(figures, down_after_ms)))
    return generate_latest(meters.REGISTRY) + generate_latest(registry)


def _families(figures: Figures, down_after_ms: int) -> list[Metric]:
    backed_up = [] if figures.backed_up_at is None else [decode_instant(figures.backed_up_at) / 1000]
    conflicts = [] if figures.conflicts_open is None else [figures.conflicts_open]
    unreconciled = [] if figures.unreconciled is None else [sum(count for _, count in figures.unreconciled)]
    free = [] if figures.disk_free_bytes is None else [figures.disk_free_bytes]
    return [
        _gauge("database_up", "Whether the database answers.", [float(figures.is_up)]),
        _gauge("disk_free_bytes", "Left on the disk of the data folder.", free),
        _gauge("integrations_left_out", "Accounts beyond those told here.", [figures.left_out]),
        _gauge("conflicts_open", "Fields two people decided differently: for a person. Bounded.", conflicts),
        _gauge("reconciliations_open", "Closings and receipt numbers that do not add up. Bounded.", unreconciled),
        _gauge("last_backup_timestamp_seconds", "Of the merchant whose last backup is the oldest.", backed_up),
        *_accounts(figures.accounts, figures.at_ms),
        *_contacts(figures.accounts),
        _endings(figures.endings),
        _keys(figures.keys),
        _statuses(figures.accounts, figures.at_ms, down_after_ms),
    ]


def _gauge(name: str, text: str, values: Sequence[float]) -> Metric:
    family = GaugeMetricFamily(f"rientro_{name}", text)
    for value in values:
        family.add_metric([], value)
    return family


def _accounts(accounts: Sequence[Account], now_ms: int) -> Iterable[Metric]:
    families = {name: GaugeMetricFamily(f"rientro_{name}", text, labels=_ACCOUNT)
                for name, text in _PER_ACCOUNT.items()}  # fmt: skip
    for account in accounts:
        for name, value in _values(account, now_ms).items():
            families[name].add_metric([account.provider, account.endpoint_id], value)
    return families.values()


def _values(account: Account, now_ms: int) -> dict[str, float]:
    return {
        "outbox_waiting": account.outbox.waiting,
        "outbox_oldest_seconds": age_s(account.outbox, now_ms),
        "outbox_dead": account.in_state("outbox", "dead"),
        "outbox_in_doubt": account.in_state("outbox", "in_doubt"),
        "inbox_waiting": account.inbox.waiting,
        "inbox_oldest_seconds": age_s(account.inbox, now_ms),
        "inbox_dead": account.in_state("inbox", "dead"),
        "inbox_quarantined": account.in_state("inbox", "quarantined"),
        "breaker_open": float(account.breaker != "closed"),
        "integration_poll_failures": account.poll_failures,
        "integration_since_timestamp_seconds": decode_instant(account.created_at) / 1000,
    }


def _contacts(accounts: Sequence[Account]) -> Iterable[Metric]:
    names = ("last_success", "last_webhook")
    texts = ("When a call of ours last reached the account.", "When the account last told us something by webhook.")
    reached, heard = (
        GaugeMetricFamily(f"rientro_integration_{name}_timestamp_seconds", text, labels=_ACCOUNT)
        for name, text in zip(names, texts, strict=True)
    )
    for account in accounts:
        for family, at in ((reached, account.succeeded_at), (heard, account.heard_at)):
            if at is not None:
                family.add_metric([account.provider, account.endpoint_id], decode_instant(at) / 1000)
    return reached, heard


def _endings(endings: Sequence[Ending]) -> Metric:
    text = "When a secret ends, within 30 days or already: expires, replace; consent_lost: when it last gave a token."
    family = GaugeMetricFamily("rientro_secret_ends_timestamp_seconds", text, labels=(*_ACCOUNT, "secret", "what"))
    for one in endings:
        family.add_metric([one.provider, one.endpoint_id, one.secret, one.what], decode_instant(one.at) / 1000)
    return family


def _keys(keys: Sequence[KeyEnding]) -> Metric:
    text = "When an API key ends, within 30 days or already: expires; rotate: it is due for its successor."
    family = GaugeMetricFamily("rientro_key_ends_timestamp_seconds", text, labels=("key", "what"))
    for one in keys:
        family.add_metric([one.key_id, one.what], decode_instant(one.at) / 1000)
    return family


def _statuses(accounts: Sequence[Account], now_ms: int, down_after_ms: int) -> Metric:
    """One series for each status, as Prometheus wants state sets: 1 for the one that holds."""
    labels = (*_ACCOUNT, "status")
    family = GaugeMetricFamily("rientro_integration_status", "How the account does.", labels=labels)
    for account in accounts:
        found = status_of(account, now_ms, down_after_ms)
        for status in WORST_FIRST:
            family.add_metric([account.provider, account.endpoint_id, status], float(status == found))
    return family
