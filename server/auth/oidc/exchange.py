"""The code for tokens, at the provider's token endpoint (RFC 6749, 4.1.3), with the verifier of PKCE."""

import base64
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode

import anyio

from server.auth.errors import AccessError
from server.auth.oidc.discovery import Metadata
from server.auth.oidc.fetching import FetchError, read_document
from server.auth.oidc.form import Provider
from server.outbound import Credentials, Outbound, OutboundError

EXCHANGE_S = 15
"""How long a person waits for the provider's answer to a code, in all."""
_STEP_S = 10


class Tokens(NamedTuple):
    """What came for a code."""

    id_token: str
    access_token: str | None


async def exchange_code(outbound: Outbound, provider: Provider, metadata: Metadata, code: str, verifier: str) -> Tokens:
    """The tokens of a code. Raises AccessError (exchange_failed)."""
    shown, headers = authenticate(provider, metadata)
    asked = {"code": code, "redirect_uri": provider.redirect_uri, "code_verifier": verifier}
    content = urlencode({"grant_type": "authorization_code", **asked, **shown}).encode()
    headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        with anyio.fail_after(EXCHANGE_S):
            reply = await outbound.ask_for_token(metadata.token_endpoint, content, headers, _STEP_S, Credentials())
        document = read_document(reply.body)
    except OutboundError as error:
        raise _failed(error.reason) from None
    except TimeoutError:
        raise _failed("timeout") from None
    except FetchError:
        raise _failed("unreadable") from None
    id_token, access_token = document.get("id_token"), document.get("access_token")
    if reply.status != 200 or not isinstance(id_token, str):  # noqa: PLR2004
        raise _failed(f"status_{reply.status}" if reply.status != 200 else "no_id_token")  # noqa: PLR2004
    return Tokens(id_token, access_token if isinstance(access_token, str) else None)


def authenticate(provider: Provider, metadata: Metadata) -> tuple[dict[str, str], dict[str, str]]:
    """What shows the client, in the form and in headers.

    In a header where the provider takes that, form-encoded as RFC 6749, 2.3.1 wants it; else in the form.
    """
    if provider.client_secret is None:
        return {"client_id": provider.client_id}, {}
    secret = provider.client_secret.get_secret_value()
    if "client_secret_basic" not in metadata.auth_methods and "client_secret_post" in metadata.auth_methods:
        return {"client_id": provider.client_id, "client_secret": secret}, {}
    pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
    return {}, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _failed(why: str) -> AccessError:
    message = f"The sign-in service gave no tokens for this sign-in: start again. ({why})"
    return AccessError("exchange_failed", message, status=502)
