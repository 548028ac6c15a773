"""Credentials: the master key, what is sealed with it, and the keys derived from it."""
