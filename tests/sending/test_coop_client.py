"""Our client against `SdIRiceviFile` over mutual TLS: what each answer of SDI's makes of a delivery and its invoice."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from server.outbound import Outbound, open_outbound
from server.providers.sdi import parse_file
from server.providers.sdi.coop.provider import SdiCoopProvider, SdiCoopSettings
from tests.sending.office import SELLER, Office
from tests.support.sdi_desk import SdiDesk, sdi_desk

AUTHORITY, OTHERS = trustme.CA(), trustme.CA()
OURS, UNKNOWN = AUTHORITY.issue_cert("rientro@shop.example"), OTHERS.issue_cert("rientro@shop.example")


def identity(certificate: trustme.LeafCert) -> str:
    """Private key and chain, as settings have it."""
    return certificate.private_key_and_cert_chain_pem.bytes().decode()


def pem(blob: trustme.Blob) -> str:
    """A text."""
    return blob.bytes().decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdiDesk]:
    """One SDI for all."""
    with sdi_desk(AUTHORITY, tmp_path_factory.mktemp("sdi")) as desk:
        yield desk


@pytest.fixture
def sdi(served: SdiDesk) -> SdiDesk:
    """It has nothing yet, and behaves well."""
    served.files.clear()
    served.requests.clear()
    served.moods.clear()
    return served


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """The process's way out."""
    async with open_outbound(allow_loopback=True) as opened:
        yield opened


async def opened(office: Office, sdi: SdiDesk, shown: trustme.LeafCert = OURS) -> None:
    """An account with SDI."""
    settings = {"sdi_url": sdi.url, "trusted_roots": pem(AUTHORITY.cert_pem), "scheme": "sdicoop"}
    await office.open("sdicoop", **settings, secrets={"client_certificate": identity(shown)})


async def test_an_invoice_is_handed_over_once_and_remembers_its_id(
    office: Office, sdi: SdiDesk, outbound: Outbound, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By zeep's message over our own TLS: what the environment says of roots and proxies is not looked at."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    await opened(office, sdi)
    invoice_id = await office.ask()
    await office.outlet.relay(SdiCoopProvider(outbound, office.outlet.clock)).drain()
    invoice = await office.get(invoice_id)
    assert (invoice["delivery"], invoice["sdi_id"], invoice["sdi_status"]) == ("delivered", str(sdi.next_id), None)
    (name,) = sdi.files
    (body,) = parse_file(sdi.files[name], name).bodies
    assert (name, body.number, str(body.total)) == (invoice["file_name"], "1", "1.20")


@pytest.mark.parametrize(
    ("mood", "delivery", "code"),
    [
        ("EI01", "dead", "ei01_empty_file"),
        ("EI03", "dead", "ei03_not_enabled"),
        ("fault", "in_doubt", "soap_fault"),
        ("drop", "in_doubt", "answer_lost"),
        ("nonsense", "in_doubt", "unreadable_answer"),
    ],
)
async def test_what_sdi_says_instead_is_sorted(
    lite_office: Office, sdi: SdiDesk, outbound: Outbound, mood: str, delivery: str, code: str
) -> None:
    """What was certainly not taken is dead, what may have been is in doubt; neither is sent a second time by itself."""
    await opened(lite_office, sdi)
    sdi.moods.append(mood)
    invoice_id = await lite_office.ask()
    await lite_office.outlet.relay(SdiCoopProvider(outbound, lite_office.outlet.clock)).drain()
    (row,) = await lite_office.outlet.rows()
    assert (row.state, row.error, len(sdi.requests)) == (delivery, code, 1)
    assert (await lite_office.get(invoice_id))["delivery"] == delivery


@pytest.mark.parametrize("mood", ["EI02", "503"])
async def test_what_passes_is_sent_again_as_the_same_file(
    lite_office: Office, sdi: SdiDesk, outbound: Outbound, mood: str
) -> None:
    """Not available: later, under the same name and with the same bytes."""
    await opened(lite_office, sdi)
    sdi.moods += [mood, mood]
    invoice_id = await lite_office.ask()
    relay = lite_office.outlet.relay(SdiCoopProvider(outbound, lite_office.outlet.clock))
    for _ in range(3):
        await relay.drain()
        lite_office.outlet.clock.ms += 120_000
    assert (len(sdi.requests), len(sdi.files)) == (3, 1)
    assert (await lite_office.get(invoice_id))["delivery"] == "delivered"


async def test_an_unknown_certificate_is_nobodys_and_says_so(
    lite_office: Office, sdi: SdiDesk, outbound: Outbound
) -> None:
    """Nothing reaches SDI, and the delivery does not look like one that did."""
    await opened(lite_office, sdi, UNKNOWN)
    invoice_id = await lite_office.ask()
    await lite_office.outlet.relay(SdiCoopProvider(outbound, lite_office.outlet.clock)).drain()
    assert sdi.requests == []
    assert (await lite_office.get(invoice_id))["delivery"] in {None, "dead", "in_doubt"}


def test_the_settings_want_what_sdi_shows() -> None:
    """PEM, and a seller that is whole."""
    good = {"sdi_certificates": pem(AUTHORITY.cert_pem), **SELLER}
    assert SdiCoopSettings.model_validate(good).scheme == "sdicoop"
    for wrong in ({"sdi_certificates": "none"}, {"seller_city": None}, {"seller_vat_number": "123"}):
        with pytest.raises(ValueError, match=r"sdi_certificates|seller"):
            SdiCoopSettings.model_validate({**good, **wrong})
