"""The certified provider of people, and a browser that goes there; `tests/peers/people.mjs` is its other half."""

import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.processes import ServerProcess

AUDIENCE = "https://shop.example/api"
CLIENT_ID, CLIENT_SECRET = "rientro", "secret of+the/client="
PUBLIC_URL = "http://127.0.0.1:1"
CALLBACK = f"{PUBLIC_URL}/v1/auth/oidc/callback"
_VERIFIER = "a-verifier-of-forty-three-signs-or-more-as-it-is-asked"
_CHALLENGE = "9lehGlunXL7cvgoQlPd0QgRAkfbzI6dEaMBagWth-0o"


@dataclass
class Identity:
    """The provider, its keys and its accounts."""

    url: str
    key: RSAKey
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    async def of(cls, running: ServerProcess) -> "Identity":
        """With a key of its own and nobody yet."""
        made = cls(running.url, new_key("first"))
        await made.use(made.key)
        return made

    async def use(self, key: RSAKey) -> None:
        """Sign with another key, and publish no other."""
        self.key = key
        await self._post("/keys", {"keys": [{**key.as_dict(private=True), "use": "sig", "alg": "RS256"}]})

    async def say(self, subject: str, **claims: Any) -> None:
        """What tokens say of somebody from now on; None takes a claim away."""
        known = {"role": "clerk", "shop": "centro", "name": subject.title()} | self.accounts.get(subject, {}) | claims
        self.accounts[subject] = {name: value for name, value in known.items() if value is not None}
        await self._post("/accounts", self.accounts)

    async def counts(self) -> dict[str, int]:
        """How often its documents were fetched."""
        async with httpx.AsyncClient(trust_env=False) as client:
            counts: dict[str, int] = (await client.get(f"{self.url}/counts")).json()
            return counts

    async def bearer(self, subject: str) -> str:
        """An access token as another client of the provider gets it."""
        asked = {
            "response_type": "code",
            "client_id": "kiosk",
            "redirect_uri": CALLBACK,
            "scope": "openid api",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }
        answer = await consent(f"{self.url}/auth?{httpx.QueryParams(asked)}", subject)
        form = {"grant_type": "authorization_code", "code": answer["code"], "code_verifier": _VERIFIER}
        async with httpx.AsyncClient(trust_env=False) as client:
            form |= {"client_id": "kiosk", "redirect_uri": CALLBACK}
            told = (await client.post(f"{self.url}/token", data=form)).json()
        token: str = told["access_token"]
        return token

    def made_up(self, subject: str, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A bearer that this provider never gave, by its own key unless told."""
        now_s = int(time.time())
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "kiosk",
            "iat": now_s,
            "exp": now_s + 600,
            **self.accounts[subject],
            **claims,
        }
        head = {"alg": "RS256", "kid": self.key.kid, "typ": "at+jwt", **(header or {})}
        known = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(head, known, key or self.key, algorithms=[head["alg"]])

    async def _post(self, path: str, body: Any) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(self.url + path, json=body)).status_code == 200


def new_key(kid: str) -> RSAKey:
    """An RSA key of this name."""
    return RSAKey.generate_key(2048, {"kid": kid})


async def consent(url: str, subject: str) -> dict[str, str]:
    """Sign in and agree, as a person would in a browser of their own; what the provider sends back by it."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        response = await browser.get(url)
        while True:
            while response.is_redirect:
                url = urljoin(str(response.url), response.headers["location"])
                if url.startswith(PUBLIC_URL + "/"):
                    return dict(httpx.URL(url).params)
                response = await browser.get(url)
            action = re.search(r'action="([^"]+)"', response.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', response.text)
            assert action is not None, response.text
            assert prompt is not None, response.text
            form = {"prompt": prompt[1], "login": subject, "password": "any"}
            response = await browser.post(urljoin(str(response.url), html.unescape(action[1])), data=form)
