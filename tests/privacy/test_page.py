"""The page on privacy says of each field what the collections declare, and leaves out no field that may hold a text."""

import re
from pathlib import Path

from server.collections import registry

_ROW = re.compile(r"^\| (\w+) \| (\w+) \| (goes|kept by law) \|$", re.MULTILINE)
NOBODYS = {
    "conflicts": {"collection", "field", "status", "decision", "candidate", "decided_by", "record_id"},
    "invoices": {
        *("sdi_id", "document_type", "number", "currency", "file_sha256", "source_sha256", "signature", "summaries"),
        *("rounding", "stamp_duty", "withholdings", "funds", "discounts", "related"),
    },
    "quarantined": {"provider", "code", "reason", "file_name", "sdi_id"},
    "issued_invoices": {
        *("shop", "document_type", "status", "problems", "flags", "series", "number", "file_name", "via", "seller"),
        *("vat", "payment_method", "credits_number", "delivery", "reference", "sdi_id", "sdi_status", "sdi_errors"),
    },
    "payments": {"shop", "provider_id", "status", "failure", "dispute"},
    "products": {"name", "category", "barcode", "tags"},
    "closures": {"shop", "terminal_id", "status", "voided", "vat", "payments"},
    "reconciliations": {
        *("shop", "kind", "terminal_id", "status", "missing", "unclosed", "doubles", "elsewhere", "unvoided"),
        *("differences", "vat", "payments"),
    },
    "sales": {"shop", "terminal_id", "payment_method", "status", "flags", "forward_status", "forward_reference", "vat"},
    "subscriptions": {"provider_id", "plan", "status"},
}
"""Texts that tell of no person: things, codes, words from a closed list."""


def test_the_page_says_what_is_declared() -> None:
    """Field by field."""
    page = (Path(__file__).parents[2] / "claude" / "privacy.md").read_text()
    declared = {
        (name, field, word)
        for name, collection in registry().collections.items()
        for word, fields in (("goes", collection.options.personal), ("kept by law", collection.options.kept))
        for field in fields
    }
    assert set(_ROW.findall(page)) == declared


def test_no_text_is_undeclared() -> None:
    """A new field that could hold a person's name is declared, or named here as nobody's."""
    undeclared = {
        (name, spec.name)
        for name, collection in registry().collections.items()
        for spec in collection.fields.values()
        if spec.wire.kind in {"text", "code", "json"}
        and spec.name not in {*collection.options.personal, *collection.options.kept, *NOBODYS.get(name, ())}
    }
    assert undeclared == set()
