"""People of an OpenID provider: signed in by it, and let in by its access tokens."""
