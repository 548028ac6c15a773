"""Routes: thin. Each parses, calls, responds; problems are made in one place."""
