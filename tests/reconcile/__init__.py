"""Closings compared with sales."""
