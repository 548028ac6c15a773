"""TLS towards providers: who we trust, and which certificate we show.

A private key is never written to a disk where the system has memory files (Linux); elsewhere it passes through a file
that only its owner may read and that is gone before the context is used.

What `parse_…` takes, `make_context` can use: both do the same with it. Every delivery checks its credentials, and to
check an RSA key takes tens of milliseconds, so what was found good is remembered.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


class CertificateError(Exception):
    """The certificate, its key or the roots cannot be used; the message says why and quotes nothing."""


@lru_cache(maxsize=64)
def parse_identity(pem: str) -> datetime:
    """Check a private key with its chain, the own certificate first; when that expires. Raises CertificateError."""
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise CertificateError("there is no certificate in it: PEM, the private key and the chain") from None
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError("there is no private key in it, or one with a password") from None
    own, form = certificates[0], (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise CertificateError("the first certificate is not the private key's")
    _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem)
    return own.not_valid_after_utc


@lru_cache(maxsize=64)
def parse_roots(pem: str) -> None:
    """Check certificates to trust. Raises CertificateError."""
    _trusting(pem)


def make_context(identity: str | None, roots: str | None) -> ssl.SSLContext:
    """A context that verifies who answers, and shows who asks. Raises CertificateError, OSError."""
    context = httpx.create_ssl_context(trust_env=False) if roots is None else _trusting(roots)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if identity is not None:
        _show(context, identity)
    return context


def _trusting(roots: str) -> ssl.SSLContext:
    """A context that trusts these instead of the public authorities. OpenSSL is given the certificates alone.

    Its own reader of texts takes ASCII only, and people comment their roots.
    """
    try:
        certificates = x509.load_pem_x509_certificates(roots.encode())
    except ValueError:
        raise CertificateError("there is no certificate in it") from None
    try:
        context = ssl.create_default_context(cadata=b"".join(one.public_bytes(Encoding.DER) for one in certificates))
    except (ssl.SSLError, ValueError):
        raise CertificateError("the roots cannot be used") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _show(context: ssl.SSLContext, identity: str) -> None:
    try:
        with _as_file(identity.encode()) as path:
            context.load_cert_chain(path, password="")  # or OpenSSL would ask for one, at the terminal
    except (ssl.SSLError, ValueError):
        raise CertificateError("the client certificate cannot be used: is its key of 2048 bits or more?") from None


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """OpenSSL's chain loader takes names of files only."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("identity", os.MFD_CLOEXEC)
        try:
            os.write(handle, content)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    handle, name = tempfile.mkstemp()  # only its owner may read it
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield name
    finally:
        Path(name).unlink()
