"""The demonstration: sales made offline come home, are reconciled, and go on once. Run it as `python -m tests.demo`."""
