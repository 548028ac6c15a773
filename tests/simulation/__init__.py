"""A deterministic simulation that tries to break the whole of sync: `python -m tests.simulation --help`."""
