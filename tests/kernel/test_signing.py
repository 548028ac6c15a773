"""Signed requests: the vectors hold for the scheme, for the client's signer, and for a library that is not ours."""

import base64
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from sync.client.signing import RequestSigner
from sync.signing import ID, SIGNATURE, TIMESTAMP, Signed, decode_secret, is_signed_by, sign
from tests.kernel.vectors import vectors

CASES: list[dict[str, Any]] = vectors("signed_request")["cases"]


def signed(case: dict[str, Any]) -> Signed:
    """What a case signs."""
    target, body = case["target"].encode(), base64.b64decode(case["body_base64"])
    return Signed(case["id"], str(case["timestamp"]), case["method"], target, body)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_request_has_its_signature(case: dict[str, Any]) -> None:
    """Content and signature, as they are written down; beside others in the header, too."""
    assert signed(case).content().decode() == case["content"]
    assert sign(case["secret"], signed(case)) == case["signature"]
    assert is_signed_by(case["secret"], signed(case), f"v1,AAAA {case['signature']}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_any_library_of_standard_webhooks_can_sign(case: dict[str, Any]) -> None:
    """Method, target and hash stand in the payload's place."""
    payload = case["content"].split(".", 2)[2]
    at = datetime.fromtimestamp(case["timestamp"], UTC)
    assert Webhook(case["secret"]).sign(case["id"], at, payload) == case["signature"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_client_signs_what_it_sends(case: dict[str, Any]) -> None:
    """Path and query as they stand in the request's first line, the body as it goes out."""
    request = httpx.Request(
        case["method"], f"https://rientro.example{case['target']}", content=base64.b64decode(case["body_base64"])
    )
    signer = RequestSigner(case["secret"], lambda: case["timestamp"] * 1000 + 999, lambda: case["id"])
    sent = next(signer.auth_flow(request))
    told = (sent.headers[ID], sent.headers[TIMESTAMP], sent.headers[SIGNATURE])
    assert told == (case["id"], str(case["timestamp"]), case["signature"])


def test_each_attempt_has_an_id_of_its_own() -> None:
    """A server takes an id once."""
    signer = RequestSigner(CASES[0]["secret"])
    request = httpx.Request("GET", "https://rientro.example/v1/schema")
    assert len({next(signer.auth_flow(request)).headers[ID] for _ in range(3)}) == 3


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_%%", "AAAA", "whsec_AAA"])
def test_what_is_no_secret_is_refused(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="not of the form"):
        decode_secret(text)
