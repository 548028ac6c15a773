"""The server: applies what clients send, answers what they ask, and carries changes to providers."""
