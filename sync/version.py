"""The protocol's version and what each one brought. Whoever changes the wire adds a line here."""

PROTOCOL_VERSION = 1

HISTORY: tuple[tuple[int, str], ...] = (
    (1, "push and pull in one request; verdicts per mutation; authenticated cursors in rounds; marks and epochs"),
)
