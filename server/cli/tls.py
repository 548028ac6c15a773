"""The files that HTTPS is served with: looked at before anything is opened, what is wrong is said in plain words."""

import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from server import meters
from server.settings import SettingsError
from sync.clock import encode_instant

T = TypeVar("T")


class Tls(NamedTuple):
    """Files that fit each other; `ends_at` is the certificate's end, an instant of the wire's form."""

    certificate: Path
    key: Path
    client_ca: Path | None
    ends_at: str

    def options(self) -> dict[str, Any]:
        """As uvicorn takes them. Who shows no certificate is let in: only some keys ask for one."""
        served = {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}
        if self.client_ca is None:
            return served
        return {**served, "ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_OPTIONAL}


def check_tls(certificate: Path | None, key: Path | None, client_ca: Path | None, now: datetime) -> Tls | None:
    """The files, or None where none are given. Raises SettingsError."""
    if certificate is None or key is None:
        if (certificate, key, client_ca) != (None, None, None):
            raise SettingsError("HTTPS needs both --tls-cert and --tls-key; --tls-client-ca comes beside them")
        return None
    shown = _certificates("--tls-cert", certificate)[0]
    _check_dates("--tls-cert", certificate, shown, now)
    private = _read("--tls-key", key, lambda pem: load_pem_private_key(pem, password=None), "a private key without one")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != shown.public_key().public_bytes(*form):
        raise SettingsError(f"--tls-key: {key} is not the key of {certificate}")
    _expose("server", [shown])
    if client_ca is not None:
        authorities = _certificates("--tls-client-ca", client_ca)
        for authority in authorities:
            _check_dates("--tls-client-ca", client_ca, authority, now)
        _expose("client_ca", authorities)
    ends_at = encode_instant(int(shown.not_valid_after_utc.timestamp() * 1000))
    return Tls(certificate, key, client_ca, ends_at)


def _certificates(option: str, file: Path) -> list[x509.Certificate]:
    return _read(option, file, x509.load_pem_x509_certificates, "a certificate")


def _read(option: str, file: Path, parse: Callable[[bytes], T], what: str) -> T:
    try:
        pem = file.read_bytes()
    except FileNotFoundError:
        raise SettingsError(f"{option}: there is no file {file}") from None
    except OSError:
        raise SettingsError(f"{option}: {file} cannot be read") from None
    try:
        return parse(pem)
    except TypeError:
        raise SettingsError(f"{option}: {file} has a password: write {what}") from None
    except ValueError:
        raise SettingsError(f"{option}: {file} is not {what.removesuffix(' without one')} in PEM") from None


def _check_dates(option: str, file: Path, certificate: x509.Certificate, now: datetime) -> None:
    if now >= certificate.not_valid_after_utc:
        raise SettingsError(f"{option}: {file} ended on {certificate.not_valid_after_utc:%Y-%m-%d}: renew it")
    if now < certificate.not_valid_before_utc:
        raise SettingsError(
            f"{option}: {file} begins on {certificate.not_valid_before_utc:%Y-%m-%d}: is the clock right?"
        )


def _expose(what: str, certificates: list[x509.Certificate]) -> None:
    meters.TLS_ENDS.labels(what).set(min(one.not_valid_after_utc.timestamp() for one in certificates))
