"""Watching the server: logs, later health and metrics."""
