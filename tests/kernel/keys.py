"""The idempotency key by its definition, written apart from the server's: what the vectors are checked against."""

import hashlib


def key_of(*parts: str) -> str:
    """`rnt_` and the hex SHA-256 of the parts, each as UTF-8 after its length in bytes (4 bytes, big end first)."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8")
        digest.update(bytes([len(encoded) >> shift & 255 for shift in (24, 16, 8, 0)]))
        digest.update(encoded)
    return f"rnt_{digest.hexdigest()}"
