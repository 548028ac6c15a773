"""The audit: nothing that changes something is forgotten, and nothing private is in it."""
