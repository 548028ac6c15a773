"""Fatture in Cloud as it is documented, served on a port of this machine: consent, tokens, documents, files, webhooks.

    GET  /oauth/authorize?…          sends the person straight back with a code; PKCE is checked at the exchange
    POST /oauth/token                code or refresh token, each good once; the client's secret in the form
    GET  /c/{company}/received_documents[/pending][/{id}]?type=&q=&sort=&page=&per_page=     Bearer
    GET  /files/{key}                a signed address elsewhere: whoever brings a token there is refused
    webhooks: a JWT, ES256, that names the event and does not cover the body, in both modes; the challenge before it

It misbehaves when told: `answer_with` is the status of the next answers of the API.
"""

import json
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.serving import served

ISSUER = "https://api-v2.fattureincloud.it"
CLIENT, CLIENT_SECRET = "app-of-ours", "the-secret-of-our-application"
RECEIVED = "it.fattureincloud.webhooks.received_documents.e_invoices.receive"
CREATED = "it.fattureincloud.webhooks.received_documents.create"
_KEY = ECKey.generate_key("P-256")
PUBLIC_KEY = _KEY.as_pem(private=False).decode()


@dataclass
class Fic:
    """What is kept there for one company, and how it behaves."""

    company_id: int = 108061
    url: str = ""
    documents: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    answer_with: list[int] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    refresh: str = ""
    access: set[str] = field(default_factory=set)

    @property
    def settings(self) -> dict[str, str]:
        """What an endpoint of ours is given."""
        return {
            "base_url": self.url,
            "company_id": str(self.company_id),
            "webhook_public_key": PUBLIC_KEY,
            "oauth_authorize_url": f"{self.url}/oauth/authorize",
            "oauth_token_url": f"{self.url}/oauth/token",
            "oauth_client_id": CLIENT,
            "oauth_client_secret": CLIENT_SECRET,
        }

    def add(self, file: bytes, *, pending: bool = True, name: str = "IT01234567890_1.xml", **more: Any) -> int:
        """A document that came; its id. `day` is when, today where it is not said."""
        number = 3_062_300 + len(self.documents)
        day = more.pop("day", datetime.now(UTC).date().isoformat())
        key = uuid.uuid4().hex
        self.files[key] = file
        said = {"type": "agyo", "date": day} if pending else {"type": "expense", "e_invoice": True, "created_at": day}
        document = {"id": number, "filename": name, "attachment_url": f"{self.url}/files/{key}", **said, **more}
        self.documents.append({"pending": pending, **document})
        return number

    def register(self, number: int) -> int:
        """A pending document is registered: it is another one from then on, with the same file."""
        (old,) = [one for one in self.documents if one["id"] == number]
        self.documents.remove(old)
        new = self.add(b"", pending=False, name=old["filename"])
        self.documents[-1]["attachment_url"] = old["attachment_url"]
        return new

    def token(self, sink: str, event_id: str, now_s: int, **claims: Any) -> str:
        """The value of the header that says who sends."""
        said = {"jti": event_id, "iss": ISSUER, "sub": f"company:{self.company_id}", "aud": [sink], "aid": 7}
        said |= {"iat": now_s, "exp": now_s + 3 * 3600, **claims}
        return f"Bearer {jwt.encode({'alg': 'ES256', 'typ': 'JWT'}, said, _KEY, algorithms=['ES256'])}"

    def event(
        self, sink: str, ids: list[int], now_s: int, *, event_type: str = RECEIVED, event_id: str = "", **claims: Any
    ) -> tuple[bytes, dict[str, str]]:
        """A webhook in the binary mode: body and headers."""
        event_id = event_id or f"198:{uuid.uuid4()}"
        attributes = {"id": event_id, "type": event_type, "subject": f"company:{self.company_id}", "specversion": "1.0"}
        headers = {f"ce-{name}": value for name, value in attributes.items()}
        headers |= {"content-type": "application/json", "authorization": self.token(sink, event_id, now_s, **claims)}
        return json.dumps({"data": {"ids": ids}}).encode(), headers

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        code = uuid.uuid4().hex
        self.codes[code] = asked["code_challenge"]
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form["grant_type"] == "authorization_code":
            digest = sha256(form["code_verifier"].encode()).digest()
            good = self.codes.pop(form["code"], None) == urlsafe_b64encode(digest).decode().rstrip("=")
        else:
            good = bool(self.refresh) and form["refresh_token"] == self.refresh
        if not good:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self.grant())

    def grant(self) -> Mapping[str, Any]:
        """New tokens; the refresh token before is spent."""
        access, self.refresh = f"a/{uuid.uuid4().hex}", f"r/{uuid.uuid4().hex}"
        self.access.add(access)
        return {"token_type": "bearer", "access_token": access, "refresh_token": self.refresh, "expires_in": 86_400}

    async def _api(self, request: Request) -> Response:
        path = request.url.path.partition("/c/")[2]
        self.calls.append(path)
        if self.answer_with:
            return JSONResponse({"error": {"message": "…"}}, self.answer_with.pop(0), headers={"retry-after": "1"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return JSONResponse({"error": {"code": "NO_TOKEN"}}, 401)
        company, _, rest = path.partition("/")
        if company != str(self.company_id):
            return JSONResponse({"error": {"code": "NO_PERMISSION"}}, 403)
        if rest == "company/info":
            return JSONResponse({"data": {"id": self.company_id}})
        rest = rest.removeprefix("received_documents").strip("/")
        pending, number = rest.startswith("pending"), rest.removeprefix("pending").strip("/")
        shown = [one for one in self.documents if one["pending"] == pending]
        return self._one(shown, number) if number else self._list(shown, request.query_params, pending=pending)

    def _one(self, shown: list[dict[str, Any]], number: str) -> Response:
        found = [one for one in shown if str(one["id"]) == number]
        return JSONResponse({"data": found[0]} if found else {"error": {}}, 200 if found else 404)

    def _list(self, shown: list[dict[str, Any]], asked: Mapping[str, str], *, pending: bool) -> Response:
        by, _, since = asked["q"].partition(" >= ")
        kept = [one for one in shown if one[by] >= since.strip("'")]
        if not pending:  # of pending documents the real one gives all, whatever their source
            kept = [one for one in kept if one["type"] == asked["type"]]
        size, page = int(asked["per_page"]), int(asked["page"])
        last = max(1, -(-len(kept) // size))
        return JSONResponse({"data": kept[(page - 1) * size : page * size], "current_page": page, "last_page": last})

    async def _file(self, request: Request) -> Response:
        self.calls.append("file")
        if "authorization" in request.headers:
            return JSONResponse({"error": "one way of proving oneself, not two"}, 400)
        content = self.files.get(request.path_params["key"])
        return Response(status_code=403) if content is None else Response(content, media_type="application/xml")

    def app(self) -> Starlette:
        """All of it."""
        return Starlette(
            routes=[
                Route("/oauth/authorize", self._authorize),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/files/{key}", self._file),
                Route("/c/{rest:path}", self._api),
            ]
        )


@asynccontextmanager
async def fatture_in_cloud() -> AsyncIterator[Fic]:
    """One company's."""
    fic = Fic()
    async with served(fic.app()) as url:
        fic.url = url
        yield fic
