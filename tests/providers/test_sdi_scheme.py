"""The Invoicetronic scheme and its mapping, alone: signatures, settings, and what a read file becomes."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.collections import registry
from server.ports import Account, Draft, Received, UnusableEventError, WebhookRefusedError
from server.providers.sdi.adapter import SdiSettings
from server.providers.sdi.fatturapa import parse_file
from server.providers.sdi.invoicetronic import InvoicetronicScheme, parse_told
from server.providers.sdi.mapping import invoice_drafts
from server.providers.sdi.model import UnreadableInvoiceError
from server.resilience.limits import read_limits
from sync.protocol import Unusable
from tests.support import fatture
from tests.support.fatture import Fattura, Riepilogo, Riga
from tests.support.intermediary import SECRET, signed
from tests.support.shop import TIMESTAMP


def account(**secrets: str) -> Account:
    """An endpoint."""
    return Account("t", "e", {}, {"webhook_secret": SECRET, **secrets})


@pytest.fixture(scope="module")
def scheme() -> Iterator[InvoicetronicScheme]:
    """The scheme alone; it asks nobody to verify."""
    yield InvoicetronicScheme(None, None)  # type: ignore[arg-type]  # noqa: PT022


BODY = b'{"id": 5, "endpoint": "receive", "resource_id": 7, "method": "POST"}'
NOW_S = 1_764_000_000


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "unsigned"),
        ("t=1", "unsigned"),
        (f"t={NOW_S}", "unsigned"),
        (f"t={NOW_S},v1=zz", "unsigned"),
        (f"t={NOW_S},v1={'a' * 64}", "bad_signature"),
        (f"t=-1,v1={'a' * 64}", "unsigned"),
        (signed(BODY, "somebody-elses-secret", NOW_S)["Invoicetronic-Signature"], "bad_signature"),
        (signed(BODY, SECRET, NOW_S - 301)["Invoicetronic-Signature"], "stale"),
        (signed(BODY, SECRET, NOW_S + 301)["Invoicetronic-Signature"], "future"),
        (signed(BODY + b" ", SECRET, NOW_S)["Invoicetronic-Signature"], "bad_signature"),
    ],
)
def test_a_signature_that_is_not_the_intermediarys_is_refused(
    scheme: InvoicetronicScheme, header: str, reason: str
) -> None:
    """Also one that was, at another time."""
    with pytest.raises(WebhookRefusedError) as raised:
        scheme.verify(account(), Received({"invoicetronic-signature": header}, BODY, NOW_S * 1000))
    assert raised.value.reason == reason


def test_two_secrets_are_live_during_a_rotation(scheme: InvoicetronicScheme) -> None:
    """And a header may carry the signatures of both."""
    header = signed(BODY, SECRET, NOW_S)["Invoicetronic-Signature"]
    received = Received(
        {"invoicetronic-signature": f"t={NOW_S},v1={'a' * 64}, {header.split(',')[1]}"}, BODY, NOW_S * 1000
    )
    assert scheme.verify(account(), received).verified_by == "webhook_secret"
    rotated = account(webhook_secret="the-new-one-of-two", previous_webhook_secret=SECRET)
    recognised = scheme.verify(rotated, received)
    assert recognised == ("5", "receive.post", "receive/7", "previous_webhook_secret", False)


def drafts(file: bytes, sdi_id: str | None = "9") -> list[Draft]:
    """The drafts of a file."""
    return [one for one in invoice_drafts(parse_file(file), sdi_id, TIMESTAMP, account()) if isinstance(one, Draft)]


def test_a_credit_note_is_negative() -> None:
    """Total, payable and sums by rate; the lines are the file's own digits."""
    (draft,) = drafts(fatture.credit_note())
    assert (draft.fields["total"], draft.fields["payable"]) == ("-122.00", "-122.00")
    assert [(one["taxable"], one["tax"]) for one in draft.fields["summaries"]] == [("-100.00", "-22.00")]
    assert draft.fields["lines"][0]["total"] == "100.00"


def every_file() -> list[bytes]:
    """Files of our own, and those of the folder that RIENTRO_SDI_SAMPLES names, where it names one."""
    folder = os.environ.get("RIENTRO_SDI_SAMPLES")
    found = sorted(Path(folder).rglob("*")) if folder is not None else []
    samples = [path.read_bytes() for path in found if path.suffix.lower() in {".xml", ".p7m"}]
    return [fatture.credit_note(), fatture.split_payment(), *samples]


def test_every_file_that_can_be_read_makes_records_the_wire_takes() -> None:
    """As strictly as a client's."""
    known, taken, record_id = registry(), 0, "0192f0c1-0000-7000-8000-000000000001"
    mutation = {"mutation_id": 1, "uid": record_id, "op": "create", "record_id": record_id, "timestamp": TIMESTAMP}
    for place, file in enumerate(every_file()):
        with suppress(UnreadableInvoiceError):
            for draft in drafts(file):
                told = {"collection": draft.collection, "fields": {**draft.fields, **draft.once}}
                assert not isinstance(known.parse_mutation(mutation | told), Unusable), place
                taken += 1
    assert taken >= 2


def test_split_payment_is_payable_without_vat() -> None:
    """The State gets the rest."""
    (draft,) = drafts(fatture.split_payment())
    assert (draft.fields["total"], draft.fields["payable"]) == ("122.00", "100.00")


def test_lines_keep_the_files_digits_and_sums_lose_no_fraction() -> None:
    """Eight decimals stay eight; an amount with a fraction of a cent is not rounded but refused later."""
    line = Riga(unit_price="0.12345678", quantity="3.000", total="0.37037034", rate="22.00")
    summary = Riepilogo(taxable="100.000", tax="22.005")
    (draft,) = drafts(fatture.invoice(Fattura(lines=(line,), summaries=(summary,), total="122.00")))
    assert draft.fields["lines"][0]["unit_price"] == "0.12345678"
    summary_told = {"rate": "22.00", "taxable": "100.00", "tax": "22.005", "nature": None, "due": "I"}
    assert draft.fields["summaries"][0] == summary_told


def test_a_simplified_invoice_has_what_it_has() -> None:
    """No unit price is made up, no name invented."""
    (draft,) = drafts(fatture.simplified())
    assert (draft.fields["total"], draft.fields["document_type"]) == ("61.00", "TD07")
    assert (draft.fields["supplier_name"], draft.fields["lines"][0]["unit_price"]) == ("Ada Ferri", "")


def test_keys_follow_from_sdi_id_and_position() -> None:
    """Or, without an id, from the content."""
    file = parse_file(fatture.lot(2))
    assert [draft.key for draft in drafts(fatture.lot(2), "77")] == ["sdi:77:1", "sdi:77:2"]
    assert [draft.weak_key for draft in drafts(fatture.lot(2), "77")] == [f"sha256:{file.sha256}:{n}" for n in (1, 2)]
    assert [(draft.key, draft.weak_key) for draft in drafts(fatture.lot(1), None)] == [
        (f"sha256:{parse_file(fatture.lot(1)).sha256}:1", None)
    ]
    with pytest.raises(UnusableEventError):
        drafts(fatture.lot(1), "7 7")


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "k", "webhook_secret": "short"},
        {"api_key": "k", "webhook_secret": SECRET, "poll_every_s": "5"},
        {"api_key": "k", "webhook_secret": SECRET, "company_id": "IT1"},
        {"webhook_secret": SECRET},
    ],
)
def test_settings_that_cannot_work_are_refused_without_being_quoted(settings: dict[str, str]) -> None:
    """Before anything is stored."""
    with pytest.raises(ValidationError) as raised:
        SdiSettings.model_validate(settings)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "body", [b"null", b"1", b'"x"', b"{}", b'{"id": {}}', b"[" * 100_000, b'{"id": "' + b"x" * 200 + b'"}']
)
def test_any_body_is_understood_or_not(body: bytes) -> None:
    """Never an error."""
    assert parse_told(body) is None


def test_an_account_has_the_rate_that_the_intermediary_allows() -> None:
    """Unless it says otherwise; also one that was stored before limits were known."""
    limits = read_limits({"base_url": "https://x.example"}, SdiSettings)
    assert (limits.rate, limits.burst) == (1, 200)
    assert read_limits({"rate": 0.5}, SdiSettings).rate == 0.5
