"""Certificates that clients show: known by their SHA-256, good between two dates.

Who made one was judged where the connection ended, by the authority that was given there. Here it must be the very
one a key is tied to, and not out of date: a proxy may let in what is.
"""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from server.auth.errors import AccessError

_BROKEN = (ValueError, x509.InvalidVersion)


def fingerprint_of(pem: str) -> str:
    """The SHA-256 of a PEM certificate's DER, in hex. Raises AccessError (not_a_certificate)."""
    try:
        return x509.load_pem_x509_certificate(pem.encode()).fingerprint(SHA256()).hex()
    except _BROKEN:
        raise AccessError("not_a_certificate", "This is not a certificate in PEM.", status=422) from None


def to_pem(der: bytes) -> str | None:
    """A DER certificate as PEM; None for what is none."""
    try:
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
    except _BROKEN:
        return None


def check_certificate(shown: str | None, wanted: str, now_ms: int) -> None:
    """Let whoever shows this PEM pass. Raises AccessError (no_certificate, wrong_certificate)."""
    if shown is None:
        raise AccessError("no_certificate", "This key is good only with its certificate, and none came.")
    try:
        certificate = x509.load_pem_x509_certificate(shown.encode())
    except _BROKEN:
        raise _wrong() from None
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    is_timely = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    if certificate.fingerprint(SHA256()).hex() != wanted or not is_timely:
        raise _wrong()


def _wrong() -> AccessError:
    return AccessError("wrong_certificate", "The certificate is not the one this key is tied to, or it is out of date.")
