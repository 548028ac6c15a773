"""The outbox: accepted changes go on to the providers that must know them, once each and in order per record."""
