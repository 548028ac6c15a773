"""What keeps bad providers from doing harm: classes of failure, backoff, Retry-After, limits, breaker.

Nothing here waits or calls, and all but `gate_sql` is pure.
"""
