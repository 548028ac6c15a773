"""The whole, with real processes on real databases."""
