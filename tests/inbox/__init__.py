"""The inbox: what comes in is kept, made into records once, and never lost."""
