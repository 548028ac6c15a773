"""What keeps bad providers from doing harm: classes of failure, backoff, Retry-After. Pure: nothing waits or calls."""
