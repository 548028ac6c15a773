"""Canaries: values that must never be found in a log, each of its own kind."""

DEVICE_TOKEN = "rnt_" + "0a" * 16 + "_" + "0b" * 16 + "_" + "0c" * 32
SECRET = "whsec_Q0FOQVJZIG9mIGEgd2ViaG9vaw=="
JSON_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJDQU5BUlkifQ.c2lnbmVk"
EMAIL = "canary.rossi@example.org"
TAX_CODE = "RSSMRA80A01H501U"
IBAN = "IT60 X054 2811 1010 0000 0123 456"
PROVIDER_KEY = "sk_live_51HCANARYcanary"
WORD = "CANARY"
"""Stands in everything that has no look of its own: it is only found out by where it stands."""

ALL = (DEVICE_TOKEN, SECRET, JSON_TOKEN, EMAIL, TAX_CODE, IBAN, PROVIDER_KEY, WORD)
LOOKS = ALL[:-1]
"""Those that are known by their look, wherever they stand."""


def found_in(text: str) -> list[str]:
    """The canaries in a text."""
    return [canary for canary in ALL if canary in text]
