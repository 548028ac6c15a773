"""The HTTP surface, through the whole application."""
