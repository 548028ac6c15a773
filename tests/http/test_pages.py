"""The app's files: what is kept for ever, what is asked for again, and that the API's addresses stay the API's."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from server.middleware.headers import CSP
from server.routes.pages import BUILT, pages
from tests.http.conftest import Api
from tests.support.serving import in_process

FILES = {
    "index.html": "<!doctype html><title>rientro</title>",
    "sw.js": "self",
    "manifest.webmanifest": "{}",
    "assets/index-D4c0.js": "export {}",
    "assets/index-D4c0.css": "a{}",
}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder as a build leaves it."""
    for name, text in FILES.items():
        path = tmp_path / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "static"


@pytest.fixture
async def app(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of that folder."""
    async with in_process(Starlette(routes=pages(built))) as http:
        yield http


@pytest.mark.parametrize(
    ("path", "kind", "kept"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/assets/index-D4c0.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/index-D4c0.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
    ],
)
async def test_each_file_has_its_type_and_its_time(app: httpx.AsyncClient, path: str, kind: str, kept: str) -> None:
    """Only what has a hash in its name is kept without asking."""
    answer = await app.get(path)
    assert answer.text == FILES[path.removeprefix("/") or "index.html"]
    assert [answer.headers["content-type"], answer.headers["cache-control"]] == [kind, kept]


async def test_what_a_browser_has_is_not_sent_again(app: httpx.AsyncClient) -> None:
    """A page that is asked for again costs a few bytes."""
    tag = (await app.get("/")).headers["etag"]
    again = await app.get("/", headers={"If-None-Match": f'"other", W/{tag}'})
    assert [again.status_code, again.content, again.headers["etag"]] == [304, b"", tag]
    assert (await app.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "path", ["/secret", "/assets/../../secret", "/assets/%2e%2e/%2e%2e/secret", "/assets/", "/v1/x"]
)
async def test_nothing_of_a_path_reaches_the_file_system(app: httpx.AsyncClient, built: Path, path: str) -> None:
    """What was not built is not there, whatever it is called."""
    (built.parent / "secret").write_text("CANARY")
    answer = await app.get(path)
    assert answer.status_code == 404
    assert "CANARY" not in answer.text


async def test_a_build_under_way_asks_for_patience(app: httpx.AsyncClient, built: Path) -> None:
    """Its files are gone for a second."""
    (built / "index.html").unlink()
    assert [(await app.get("/")).status_code, (await app.get("/")).headers["retry-after"]] == [503, "2"]


async def test_a_server_without_the_app_says_so(tmp_path: Path) -> None:
    """The API works without it."""
    async with in_process(Starlette(routes=pages(tmp_path))) as http:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert "The app is not built here" in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_the_api_keeps_its_addresses(api: Api) -> None:
    """What is unknown there is a problem document, not a page."""
    for path in ("/v1", "/v1/nowhere", "/v1/sync/x", "/openapi.json/x", "/health"):
        answer = await api.http.get(path)
        assert [answer.status_code, answer.headers["content-type"]] == [404, "application/problem+json"]
    assert (await api.http.post("/")).status_code == 405
    assert (await api.http.get("/")).headers["content-security-policy"] == CSP


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the app is not built here")
def test_the_built_page_obeys_its_policy() -> None:
    """No inline script or style, nothing from elsewhere: it would not run."""
    page = (BUILT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
    assert re.findall(r'(?:src|href)="(?!/|data:)[^"]*"', page) == []


async def test_what_was_compressed_is_sent_so_to_whom_understands_it(built: Path) -> None:
    """The same file by the same name; the compressed one has no address of its own."""
    (built / "sw.js.gz").write_bytes(gzip.compress(b"self"))
    async with in_process(Starlette(routes=pages(built))) as http:
        packed = await http.get("/sw.js")
        plain = await http.get("/sw.js", headers={"Accept-Encoding": "identity"})
        assert [one.headers.get("content-encoding") for one in (packed, plain)] == ["gzip", None]
        assert [one.text for one in (packed, plain)] == ["self", "self"]
        assert packed.headers["content-type"] == plain.headers["content-type"] == "text/javascript; charset=utf-8"
        assert (await http.get("/sw.js.gz")).status_code == 404


@pytest.mark.parametrize("path", ["/invoices/018f", "/conflicts", "/closures", "/status"])
async def test_where_messages_lead_is_the_app(app: httpx.AsyncClient, path: str) -> None:
    """A notification that is tapped where no service worker answers."""
    assert (await app.get(path)).text == FILES["index.html"]
