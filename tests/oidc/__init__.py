"""People of an OpenID provider: a certified one where it matters, and keys of our own for what it never signs."""
