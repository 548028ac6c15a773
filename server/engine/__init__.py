"""The engine: applies a push, answers a pull, tells who listens that there is something new."""
