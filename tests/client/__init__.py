"""Tests of the client: against a small server on the kernel itself, where every accident can be scripted."""
