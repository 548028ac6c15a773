"""What is held about a person: given, and taken away."""
