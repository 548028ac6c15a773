"""The engine's contract, on both databases."""
