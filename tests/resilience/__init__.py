"""Breaker, limiters and gate as pure functions."""
