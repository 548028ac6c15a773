"""What is held about a person: given to them, and taken away for good where the law lets."""
