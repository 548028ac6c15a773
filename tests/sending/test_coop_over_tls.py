"""SDICoop whole: the real server with its own TLS, SDI's calls by zeep with a client certificate, our calls to SDI."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
import uvicorn
from anyio import to_thread
from lxml import etree
from zeep.exceptions import Fault, TransportError

from server.app import create_app, open_core
from server.cli.protocol import Protocol
from server.settings import Settings
from tests.sending.office import CUSTOMER, SELLER
from tests.sending.test_coop_client import AUTHORITY, OURS, identity, pem
from tests.support import fatture
from tests.support.sdi_desk import SdiDesk, message, mtom, sdi_desk
from tests.support.serving import served_by
from tests.support.shop import TIMESTAMP, Ids, sale_fields

SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")
SDI, STRANGER = (AUTHORITY.issue_cert(f"{name}@example.it") for name in ("sdi", "stranger"))
PATIENCE_S = 60


@pytest.fixture
def sdi(tmp_path: Path) -> Iterator[SdiDesk]:
    """The SDI."""
    (tmp_path / "sdi").mkdir()
    with sdi_desk(AUTHORITY, tmp_path / "sdi") as desk:
        yield desk


@dataclass
class Place:
    """A shop's server, and a phone that is signed in to it."""

    url: str
    address: str
    token: str
    new_id: Ids
    http: httpx.AsyncClient
    said: int = 0

    async def push(self, **records: Mapping[str, Any]) -> dict[str, str]:
        """Create one record a collection, in order; their ids."""
        ids = {name: self.new_id() for name in records}
        mutations = []
        for name, fields in records.items():
            self.said += 1
            known = {key: ids.get(value, value) if isinstance(value, str) else value for key, value in fields.items()}
            mutation = {"mutation_id": self.said, "uid": self.new_id(), "op": "create", "collection": name}
            mutations.append({**mutation, "record_id": ids[name], "timestamp": TIMESTAMP, "fields": known})
        answer = await self._sync(mutations=mutations)
        assert {one["status"] for one in answer["verdicts"]} == {"applied"}
        return ids

    async def until(self, collection: str, is_so: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """What a phone that pulls has, once it is so."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                changes = (await self._sync(collections=[collection]))["changes"]
                found = [one["fields"] for one in changes if one["collection"] == collection]
                if is_so(found):
                    return found
                await anyio.sleep(0.05)

    async def _sync(self, **more: Any) -> dict[str, Any]:
        document = {"protocol": 1, "client_id": self.token_id, **more}
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.http.post(f"{self.url}/v1/sync", content=json.dumps(document), headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    @property
    def token_id(self) -> str:
        """The phone's local database."""
        return "0194f1d6-0000-7000-8000-000000000001"


@pytest.fixture
async def place(sqlite_url: str, tmp_path: Path, sdi: SdiDesk) -> AsyncIterator[Place]:
    """A server by HTTPS that asks for client certificates, with an account at SDI."""
    assert sqlite_url.endswith(f"{tmp_path}/rientro.db")
    settings = Settings(data=tmp_path, allow_loopback=True)
    values = {
        **SELLER,
        "sdi_url": sdi.url,
        "sdi_certificates": pem(SDI.cert_chain_pems[0]),
        "trusted_roots": pem(AUTHORITY.cert_pem),
        "client_certificate": identity(OURS),
    }
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar")
        device = await core.admin.add_device(tenant_id, "Telefono", "owner", "centro")
        endpoint = await core.endpoints.add(tenant_id, "sdicoop", "SDI", values)
    tls = {
        "ssl_certfile": str(sdi.write("server.pem", *SERVER.cert_chain_pems)),
        "ssl_keyfile": str(sdi.write("server-key.pem", SERVER.private_key_pem)),
        "ssl_ca_certs": str(sdi.write("client-ca.pem", AUTHORITY.cert_pem)),
        "ssl_cert_reqs": 1,
    }
    app: Any = create_app(settings, migrate=False)
    config = uvicorn.Config(app, log_config=None, http=Protocol, proxy_headers=False, **tls)  # type: ignore[arg-type]
    roots = trusting()
    async with served_by(config) as url, httpx.AsyncClient(verify=roots, trust_env=False, timeout=30) as http:
        secure = url.replace("http://127.0.0.1", "https://localhost")
        address = f"{tenant_id.replace('-', '')}.{endpoint.endpoint_id.replace('-', '')}"
        yield Place(secure, f"{secure}/v1/soap/sdicoop/{address}", device.token, Ids(3), http)


def trusting(shown: trustme.LeafCert | None = None) -> Any:
    """A TLS context of a client's."""
    context = ssl.create_default_context(cadata=pem(AUTHORITY.cert_pem))
    if shown is not None:
        shown.configure_cert(context)
    return context


async def called(operation: Callable[..., Any], **said: Any) -> Any:
    """Its client waits for the answer in a thread: the server is in this one."""
    return await to_thread.run_sync(lambda: operation(**said))


async def test_an_invoice_goes_to_sdi_and_its_receipt_comes_back_and_another_comes_in(
    place: Place, sdi: SdiDesk, tmp_path: Path
) -> None:
    """Asked for on a phone, handed over, delivered, and seen on the phone; a supplier's taken in once, however told."""
    asked = {"sale_id": "sales", "customer_id": "customers", "shop": "centro", "issued_on": "2025-11-24"}
    await place.push(sales=sale_fields(1, shop="centro"), customers=CUSTOMER, issued_invoices=asked)
    (invoice,) = await place.until("issued_invoices", lambda found: bool(found) and found[0]["delivery"] is not None)
    assert (invoice["number"], invoice["delivery"], invoice["sdi_id"]) == ("1", "delivered", str(sdi.next_id))
    assert list(sdi.files) == [invoice["file_name"]]
    outgoing = sdi.caller(place.address, "TrasmissioneFatture", SDI)
    receipt = message("RicevutaConsegna", invoice["file_name"], sdi.next_id)
    told = {"IdentificativoSdI": sdi.next_id, "NomeFile": "IT01234567890_R0001_RC_001.xml", "File": receipt}
    assert await called(outgoing.RicevutaConsegna, **told) is None
    (invoice,) = await place.until("issued_invoices", lambda found: found[0]["sdi_status"] is not None)
    assert invoice["sdi_status"] == "delivered"

    file, metadata = fatture.lot(1), b"<FileMetadati/>"
    incoming = sdi.caller(place.address, "RicezioneFatture", SDI)
    handed = {
        "IdentificativoSdI": 7001,
        "NomeFile": "IT09999999999_00001.xml",
        "File": file,
        "NomeFileMetadati": "IT09999999999_00001_MT_001.xml",
        "Metadati": metadata,
    }
    assert [await called(incoming.RiceviFatture, **handed) for _ in range(2)] == ["ER01", "ER01"]
    content_type, body = mtom(await _written(sdi, incoming, handed), file, metadata)
    async with httpx.AsyncClient(verify=trusting(SDI), trust_env=False) as http:
        answer = await http.post(place.address, content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, b"<Esito>ER01</Esito>" in answer.content) == (200, True)
    assert len(await place.until("invoices", bool)) == 1
    assert len(list((tmp_path / "second").glob("*/*/*.json"))) == 2  # the receipt, the invoice: nobody sends them again


async def _written(sdi: SdiDesk, service: Any, said: Mapping[str, Any]) -> bytes:
    """The message that zeep would send."""
    client = service._client
    return bytes(etree.tostring(client.create_message(service, "RiceviFatture", **said)))


async def test_only_sdi_is_let_in_and_what_is_no_message_gets_a_fault(place: Place, sdi: SdiDesk) -> None:
    """Another certificate of the same authority, none at all, no file in it: told so, and nothing is kept."""
    said = {"IdentificativoSdI": 1, "NomeFile": "IT09999999999_00001.xml", "File": b"x"}
    for shown, refusal in [(STRANGER, Fault), (None, TransportError)]:
        service = sdi.caller(place.address, "RicezioneFatture", shown)
        with pytest.raises(refusal):
            await called(service.NotificaDecorrenzaTermini, **said)
    empty = sdi.caller(place.address, "RicezioneFatture", SDI)
    with pytest.raises(Fault, match="File is missing or empty"):
        await called(empty.NotificaDecorrenzaTermini, **{**said, "File": b""})
    assert await called(empty.NotificaDecorrenzaTermini, **said) is None
    async with httpx.AsyncClient(verify=trusting(SDI), trust_env=False) as http:
        large = await http.post(place.address, content=b"x" * (10 * 1024 * 1024 + 1))
        nobody = await http.post(place.address[:-4] + "0000", content=b"x")
    assert (large.status_code, nobody.status_code) == (413, 500)
