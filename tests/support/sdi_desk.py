"""The SDI as it is seen from outside, on this machine: `SdIRiceviFile` over mutual TLS, and its own calls by zeep.

It takes a file only from whom it knows by certificate, gives each an IdentificativoSdI of its own, and remembers the
names. It misbehaves as it is told, once for each word in `moods`:

    EI01, EI02, EI03    that error beside the id
    fault               a SOAP fault of its side
    503                 not available
    drop                take the file, and cut the connection
    nonsense            200, and no SOAP
"""

import base64
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import requests
import trustme
from zeep import Client
from zeep.transports import Transport

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.fatturapa.gov.it/sdi/ws/trasmissione/v1.0/types"
WSDL = Path(__file__).parents[2] / "server" / "providers" / "sdi" / "coop" / "sdicoop.wsdl"
PRIVATE = "http://ivaservizi.agenziaentrate.gov.it/docs/xsd/fattura/messaggi/v1.0"
PUBLIC = "http://www.fatturapa.gov.it/sdi/messaggi/v1.0"


@dataclass
class SdiDesk:
    """What it took, and how it will behave."""

    authority: trustme.CA
    folder: Path
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)
    next_id: int = 111

    def write(self, name: str, *blobs: trustme.Blob) -> Path:
        """A file of them."""
        file = self.folder / name
        file.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return file

    def caller(self, url: str, port: str, shown: trustme.LeafCert | None) -> Any:
        """A zeep service that calls an address of ours as SDI does."""
        session = requests.Session()
        session.trust_env = False
        session.headers["Connection"] = "close"  # who calls twice a day keeps no connection
        session.verify = str(self.write("caller-ca.pem", self.authority.cert_pem))
        if shown is not None:
            chain = self.write("caller.pem", *shown.cert_chain_pems)
            session.cert = (str(chain), str(self.write("caller-key.pem", shown.private_key_pem)))
        client = Client(str(WSDL), transport=Transport(session=session))  # type: ignore[no-untyped-call]
        return client.create_service(f"{{urn:rientro:sdicoop}}{port}", url)  # type: ignore[no-untyped-call]

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """One RiceviFile; status 0 cuts the connection."""
        self.requests.append(headers)
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "503":
            return 503, b""
        if mood == "fault":
            inside = "<faultcode>soap:Server</faultcode><faultstring>no</faultstring>"
            return 500, _envelope(f"<s:Fault>{inside}</s:Fault>")
        if mood == "nonsense":
            return 200, b"<html>"
        said = fromstring(body)[0][0]  # noqa: S314  # what our own client sent
        assert said.tag == f"{{{TYPES}}}fileSdIAccoglienza"
        assert headers["soapaction"] == '"http://www.fatturapa.it/SdIRiceviFile/RiceviFile"'
        if not mood.startswith("EI"):
            self.files[said.findtext("NomeFile") or ""] = base64.b64decode(said.findtext("File") or "")
        self.next_id += 1
        error = f"<Errore>{mood}</Errore>" if mood.startswith("EI") else ""
        told = f"<IdentificativoSdI>{self.next_id}</IdentificativoSdI>"
        at = "<DataOraRicezione>2025-11-24T11:00:00.000+01:00</DataOraRicezione>"
        answer = f'<t:rispostaSdIRiceviFile xmlns:t="{TYPES}">{told}{at}{error}</t:rispostaSdIRiceviFile>'
        return (0 if mood == "drop" else 200), _envelope(answer)


def message(kind: str, file_name: str, sdi_id: int | str, inside: str = "", family: str = PRIVATE) -> bytes:
    """A receipt of SDI's, of our own making."""
    head = f"<IdentificativoSdI>{sdi_id}</IdentificativoSdI><NomeFile>{file_name}</NomeFile>"
    tail = "<MessageId>4711</MessageId>"
    document = f'<m:{kind} xmlns:m="{family}" versione="1.0">{head}{inside}{tail}</m:{kind}>'
    return f'<?xml version="1.0" encoding="UTF-8"?>{document}'.encode()


def discarded(code: str = "00417", said: str = "senza identificativo") -> str:
    """The inside of a discard."""
    error = f"<Errore><Codice>{code}</Codice><Descrizione>{said}</Descrizione></Errore>"
    return f"<ListaErrori>{error}</ListaErrori>"


@contextmanager
def sdi_desk(authority: trustme.CA, folder: Path) -> Iterator[SdiDesk]:
    """Serve one on a port of this machine."""
    desk = SdiDesk(authority, folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(desk))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    desk.url = f"https://localhost:{server.server_address[1]}/ricevi_file"
    try:
        yield desk
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(desk: SdiDesk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, content = desk.take({name.lower(): value for name, value in self.headers.items()}, body)
            if not status:
                self.close_connection = True
                return
            self._answer(status, content)

        def do_GET(self) -> None:
            self._answer(200, WSDL.read_bytes())

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            return

    return Handler


def _envelope(inside: str) -> bytes:
    return f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{inside}</s:Body></s:Envelope>'.encode()


def mtom(xml: bytes, *files: bytes) -> tuple[str, bytes]:
    """A message as MTOM: each base64 `File` or `Metadati` in a part of its own, in the order of `files`."""
    places = iter(range(len(files)))
    split = re.sub(rb"(<(?:\w+:)?(?:File|Metadati)>)[^<]+(</)", lambda found: _including(found, next(places)), xml)
    head = 'Content-Type: application/xop+xml; charset=UTF-8; type="text/xml"'
    body = f"--=_b\r\n{head}\r\nContent-ID: <root@sdi>\r\n\r\n".encode() + split
    for place, content in enumerate(files):
        about = f"Content-Type: application/octet-stream\r\nContent-ID: <part{place}@sdi>"
        body += f"\r\n--=_b\r\n{about}\r\n\r\n".encode() + content
    kind = 'type="application/xop+xml"; start="<root@sdi>"; start-info="text/xml"'
    return f'multipart/related; boundary="=_b"; {kind}', body + b"\r\n--=_b--\r\n"


def _including(found: re.Match[bytes], place: int) -> bytes:
    include = f'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:part{place}%40sdi"/>'
    return bytes(found[1]) + include.encode() + bytes(found[2])
