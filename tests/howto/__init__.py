"""Pages that tell how to do something, done as they say."""
