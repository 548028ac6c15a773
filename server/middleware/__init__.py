"""Middleware: what every request passes through."""
