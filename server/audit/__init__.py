"""The audit: who did what, or was refused it; written here, read page by page, taken away after a year."""

from server.audit.entries import OPERATOR, Actor, ActorKind, Entry, Outcome, add_entry, coarse, note

__all__ = ["OPERATOR", "Actor", "ActorKind", "Entry", "Outcome", "add_entry", "coarse", "note"]
