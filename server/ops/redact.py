"""Redaction: what is secret or personal is masked, whoever logged it, and in whatever it is wrapped.

Rules:

1. A member whose name says that it is secret or personal is masked whole.
2. In any text, what looks like a token of ours, a bearer header, a credential in an address, an address's query, an
   e-mail address, a tax code or an account number is masked wherever it stands.
3. Only plain values are shown: numbers, texts, and lists and mappings of them. Bytes are told by their length, an
   exception by its type, anything else by the name of its class: nobody's `repr` decides what a log holds.
4. Keys are texts too. What is nested too deep, or goes on too long, is cut.
"""

import re
from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any

MASK = "***"
MAX_DEPTH = 6
MAX_ITEMS = 100
MAX_TEXT = 2_000

_SECRET_NAME = re.compile(
    r"(?i)(secret|token|password|passwd|passphrase|credential|authorization|cookie|api_?-?key|private_?key|signature"
    r"|sealed|payload|body|(?<!\w)content(?![\w-])|fields|args|params|query|email|e_mail|phone|address|tax_code|fiscal_code|vat_number"
    r"|iban|pan\b|card_number|birth|customer_name|supplier_name|first_name|last_name|surname|full_name|recipient|^(device_|tenant_|merchant_)?name$)"
)
_SECRET_TEXT = re.compile(
    r"""
      rnt_[0-9a-f]{32}_[0-9a-f]{32}_[0-9a-f]+                  # a device's token
    | whsec_[A-Za-z0-9+/=_-]+                                  # a secret that signs webhooks
    | \b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]+                # a provider's key
    | \beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*      # a JSON web token
    | (?i:\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]+)            # a header that signs in
    | (?<=://)[^/\s@]+(?=@)                                    # user and password in an address
    | (?<=[\w/])\?[^\s"'<>]*=[^\s"'<>]*                        # an address's query
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                             # an e-mail address
    | \b[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z]\b   # an Italian tax code
    | \b[A-Z]{2}\d{2}(?:\ ?[A-Z0-9]{4}){3,7}\ ?[A-Z0-9]{0,3}\b # an IBAN
    """,
    re.VERBOSE,
)

EventDict = MutableMapping[str, Any]


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Mask what is secret or personal, at every depth; the log's last processor."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own, taken out before a line is written
            event[name] = _member(name, value, 0)
    return event


def masked_text(text: str) -> str:
    """A text without what looks secret or personal."""
    masked = _SECRET_TEXT.sub(MASK, text)  # before it is cut: half a secret would not look like one
    return masked if len(masked) <= MAX_TEXT else f"{masked[:MAX_TEXT]}…"


def _member(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAME.search(name):
        return MASK
    return _masked(value, depth)


def _masked(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {masked_text(str(name)): _member(str(name), item, depth + 1)
                    for name, item in list(value.items())[:MAX_ITEMS]}  # fmt: skip
        if isinstance(value, list | tuple | AbstractSet):
            return [_masked(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return f"<{type(value).__name__}>"
