"""What this process counts while it works: one instrument a fact, in one registry, read by `/metrics`.

It lies at the bottom, so that whoever knows a fact counts it where it happens. Labels are closed lists, or
names of our own (providers, routes): never a text that a request brought, an id, or a person's data.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, and nobody asks for it

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

REQUESTS = Counter(
    "rientro_http_requests", "Requests answered.", ("method", "route", "status"), registry=REGISTRY
)  # fmt: skip
TLS_ENDS = Gauge(
    "rientro_tls_ends_timestamp_seconds", "When a certificate ends that is served with: server, client_ca.", ("what",),
    registry=REGISTRY,
)  # fmt: skip
REQUEST_SECONDS = Histogram(
    "rientro_http_request_seconds", "Until an answer begins.", ("route",), buckets=_QUICK_S, registry=REGISTRY
)
REFUSALS = Counter("rientro_refusals", "Requests refused for who asks or how often.", ("reason",), registry=REGISTRY)
SYNC_SECONDS = Histogram(
    "rientro_sync_seconds", "Of one exchange: applying a push, reading a pull.", ("part",), buckets=_QUICK_S,
    registry=REGISTRY,
)  # fmt: skip
VERDICTS = Counter("rientro_verdicts", "Verdicts on clients' mutations.", ("status",), registry=REGISTRY)

WRITER_WAITING = Gauge("rientro_writer_waiting_jobs", "Jobs that wait for a transaction.", registry=REGISTRY)
WRITER_GROUP = Histogram(
    "rientro_writer_group_jobs", "Jobs that shared a transaction.", buckets=(1, 2, 5, 10, 20, 50, 100, 500),
    registry=REGISTRY,
)  # fmt: skip
DATABASE_ERRORS = Counter("rientro_database_errors", "What the database refused.", ("kind",), registry=REGISTRY)

ATTEMPTS = Counter(
    "rientro_delivery_attempts", "Attempts to deliver, by how they ended.", ("provider", "outcome"), registry=REGISTRY
)
ATTEMPT_SECONDS = Histogram(
    "rientro_delivery_attempt_seconds", "One attempt.", ("provider",), buckets=_SLOW_S, registry=REGISTRY
)
WEBHOOKS = Counter(
    "rientro_webhooks", "Webhooks taken in, by what became of them.", ("provider", "outcome"), registry=REGISTRY
)
WEBHOOK_SECONDS = Histogram(
    "rientro_webhook_seconds", "Until a webhook is stored.", ("provider",), buckets=_QUICK_S, registry=REGISTRY
)
WEBHOOKS_REFUSED = Counter(
    "rientro_webhooks_refused", "Webhooks refused at the door.", ("provider", "reason"), registry=REGISTRY
)
EVENTS = Counter(
    "rientro_inbox_events", "Attempts to process an event, by the state it was left in.", ("provider", "state"),
    registry=REGISTRY,
)  # fmt: skip
POLLS = Counter("rientro_polls", "Polls of providers.", ("provider", "outcome"), registry=REGISTRY)

STREAMS = Gauge("rientro_live_streams", "Streams open to be poked.", registry=REGISTRY)
POKES = Counter("rientro_pokes", "Pokes: somebody committed something.", registry=REGISTRY)
POKE_SECONDS = Histogram(
    "rientro_poke_seconds", "From the first poke not told yet until all of a tenant's streams here know.",
    buckets=_QUICK_S, registry=REGISTRY,
)  # fmt: skip
ALARMS = Counter("rientro_alarms", "Log lines that want a person.", ("event",), registry=REGISTRY)
