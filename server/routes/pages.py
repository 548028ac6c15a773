"""The app: what `pwa/` was built to, served at `/` from files; and a plain page that says so where it was not built.

Rules:

1. A name that was built with a hash in it (`/assets/…`) is good for ever; everything else is asked for again each time:
   the page, the service worker, the manifest.
2. Only files that were there at the start are served, by their exact names: nothing of a path reaches the file system.
3. What was compressed when it was built (`.gz` beside a file) is sent so to whom it can be sent so.
4. The addresses of the app's own pages, which messages to devices lead to, are its start page: it finds its way.
5. Every address of the API stays the API's: what is unknown below `/v1/` is a problem document, as everywhere.
"""

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

BUILT = Path(__file__).parents[1] / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASKED_AGAIN = "no-cache"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}
_PACKED = ".gz"
_WITHIN = ("/invoices", "/invoices/{id}", "/conflicts", "/conflicts/{id}", "/closures", "/status")
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>rientro</title>
<h1>The server runs</h1>
<p>The app is not built here: it needs Node 20 or newer when <code>make run</code> is called. The API works without it;
<a href="/openapi.json">it is described here</a>.</p>
</html>
"""

Page = Callable[[Request[Any]], Awaitable[Response]]


class _File(NamedTuple):
    """A built file, as it was at the start."""

    path: Path
    packed: Path | None
    media_type: str
    headers: Mapping[str, str]


def pages(folder: Path = BUILT) -> list[Route]:
    """The routes of the app; the files of `folder` are looked up now, once."""
    index = folder / "index.html"
    if not index.is_file():
        return [Route("/", _not_built)]
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != _PACKED]
    files = {_address(folder, path): _file(folder, path) for path in found}
    starts = dict.fromkeys(("/", *_WITHIN), files["/index.html"])
    return [Route(address, _serving(file)) for address, file in {**files, **starts}.items()]


def _address(folder: Path, path: Path) -> str:
    return "/" + path.relative_to(folder).as_posix()


def _file(folder: Path, path: Path) -> _File:
    hashed = path.relative_to(folder).parts[0] == "assets"
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    tag = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    headers = {"Cache-Control": _FOR_EVER if hashed else _ASKED_AGAIN, "ETag": f'"{tag}"', "Vary": "Accept-Encoding"}
    packed = path.with_name(path.name + _PACKED)
    return _File(path, packed if packed.is_file() else None, kind, headers)


def _serving(file: _File) -> Page:
    async def serve(request: Request[Any]) -> Response:
        if file.headers["ETag"] in _asked_about(request):
            return Response(status_code=304, headers=dict(file.headers))
        if not await anyio.Path(file.path).is_file():  # it is being built anew: whoever asks, asks again
            return HTMLResponse(_NOT_BUILT, 503, headers={"Cache-Control": "no-store", "Retry-After": "2"})
        headers = dict(file.headers)
        if file.packed is None or "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(file.path, media_type=file.media_type, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return FileResponse(file.packed, media_type=file.media_type, headers=headers)

    return serve


def _asked_about(request: Request[Any]) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]


async def _not_built(_request: Request[Any]) -> Response:
    return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": "no-store"})
