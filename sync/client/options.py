"""What a client can be told beside where its server is."""

from dataclasses import dataclass

from sync.protocol import MAX_BODY_BYTES, MAX_MUTATIONS, MAX_PAGE

_ENVELOPE_BYTES = 32 * 1024  # everything beside the mutations and the cursor


@dataclass(frozen=True, slots=True)
class Options:
    """`collections` are pulled; `batch` mutations go into a request, `page` changes come back at most.

    `body_bytes` is what mutations and cursor have of a request.

    `interval_s`: an idle loop looks for news that often. Backoff waits a random part of `backoff_base_s` doubled with
    every failure, up to `backoff_cap_s`; a server's Retry-After is honoured up to `retry_after_cap_s`. `schema` is what
    the app was built against.
    """

    collections: tuple[str, ...] = ()
    batch: int = 200
    page: int = MAX_PAGE
    body_bytes: int = MAX_BODY_BYTES - _ENVELOPE_BYTES
    gzip_over_bytes: int = 2048
    interval_s: float = 30.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 60.0
    retry_after_cap_s: float = 3600.0
    timeout_s: float = 30.0
    live_silence_s: float = 75.0
    schema: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no server would take. Raises ValueError."""
        if not (1 <= self.batch <= MAX_MUTATIONS and 1 <= self.page <= MAX_PAGE):
            raise ValueError(f"batch goes up to {MAX_MUTATIONS}, page up to {MAX_PAGE}")
