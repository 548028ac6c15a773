"""A hundred thousand changed keys, tokens and signatures, over all schemes: none is taken for what it was made of."""

import base64
import hmac
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms
from standardwebhooks import Webhook

from server.auth.errors import AccessError
from server.auth.signed import Asked, verify
from server.auth.signer import Signer
from server.auth.tokens import Refresh, RefreshTokens, hash_secret, new_signing_secret, new_token, parse_token
from server.credentials.vault import Vault
from server.outbound.signing import sign as sign_message
from server.ports import Account, Received, WebhookRefusedError
from server.providers.pos.standard import StandardScheme
from server.providers.sdi.invoicetronic import InvoicetronicScheme
from sync.signing import ID, SIGNATURE, TIMESTAMP, Signed, sign
from tests.support.intermediary import SECRET, signed
from tests.support.shop import Clock, Ids

Parts = dict[str, str]
Check = Callable[[Parts], bool]
TENANT, OTHER = (Ids(11)() for _ in range(2))
NOW_S = Clock().ms // 1000
BODY = '{"type":"sale.created","data":{"id":"5","total":"12.20"}}'
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=."


def api_key() -> tuple[Parts, Check]:
    """An API key, as the guard looks at it."""
    token = new_token(TENANT, OTHER)
    stored = {(TENANT, OTHER): hash_secret(token.secret)}

    def check(parts: Parts) -> bool:
        found = parse_token(parts["token"])
        wanted = None if found is None else stored.get((found.tenant_id, found.key_id))
        return found is not None and wanted is not None and hmac.compare_digest(wanted, hash_secret(found.secret))

    return {"token": token.text()}, check


def refresh_token() -> tuple[Parts, Check]:
    """A refresh token."""
    tokens = RefreshTokens(lambda: [b"k" * 32])
    return {"token": tokens.make(Refresh(TENANT, OTHER, 10))}, lambda parts: tokens.read(parts["token"]) is not None


def access_token() -> tuple[Parts, Check]:
    """An access token; the last sign of each part has bits to spare, which must be nothing."""
    signer = Signer(Vault.of(b"m" * 32).derive, "https://shop.example", Clock())
    return {"token": signer.make(TENANT, OTHER, OTHER)}, lambda parts: signer.read(parts["token"]) is not None


def signed_request() -> tuple[Parts, Check]:
    """A request that a key signed."""
    secret = new_signing_secret()
    message = Signed("request-1", str(NOW_S), "POST", b"/v1/sync?a=1", BODY.encode())

    def check(parts: Parts) -> bool:
        headers = {ID: parts["id"], TIMESTAMP: parts["time"], SIGNATURE: parts["signature"]}
        asked = Asked(parts["method"], parts["target"].encode(), headers, parts["body"].encode())
        return _passes(lambda: verify(secret, asked), AccessError)

    good = {"id": message.request_id, "time": message.timestamp, "method": "POST", "target": "/v1/sync?a=1"}
    return {**good, "body": BODY, "signature": sign(secret, message)}, check


def standard_webhook() -> tuple[Parts, Check]:
    """A webhook of a point of sale."""
    secret = new_signing_secret()
    account = Account("t", "e", {}, {"secret": secret})
    signature = Webhook(secret).sign("event-1", datetime.fromtimestamp(NOW_S, UTC), BODY)

    def check(parts: Parts) -> bool:
        headers = {f"webhook-{name}": parts[name] for name in ("id", "timestamp", "signature")}
        received = Received(headers, parts["body"].encode(), NOW_S * 1000)
        return _passes(lambda: StandardScheme().verify(account, received), WebhookRefusedError)

    return {"id": "event-1", "timestamp": str(NOW_S), "signature": signature, "body": BODY}, check


def intermediary_webhook() -> tuple[Parts, Check]:
    """A webhook of the invoices' intermediary."""
    account, scheme = Account("t", "e", {}, {"webhook_secret": SECRET}), InvoicetronicScheme(None, None)  # type: ignore[arg-type]
    header = signed(BODY.encode(), SECRET, NOW_S)["Invoicetronic-Signature"]
    timestamp, signature = (part.partition("=")[2] for part in header.split(","))

    def check(parts: Parts) -> bool:
        headers = {"invoicetronic-signature": f"t={parts['timestamp']},v1={parts['signature']}"}
        received = Received(headers, parts["body"].encode(), NOW_S * 1000)
        return _passes(lambda: scheme.verify(account, received), WebhookRefusedError)

    return {"timestamp": timestamp, "signature": signature, "body": BODY}, check


def message_signature() -> tuple[Parts, Check]:
    """What we send, signed by RFC 9421, as a receiver looks at it; the signature's bytes are changed, not its text."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    headers = {"content-type": "application/json", "authorization": "Bearer abc"}
    request = httpx.Request("POST", "https://receiver.example/in?a=1", headers=headers, content=BODY)
    sign_message(request, pem, "shop-1", NOW_S)
    name, _, text = request.headers["signature"].partition("=")
    resolver = MappingKeyResolver(private_keys={}, public_keys={"shop-1": key.public_key()})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=resolver)

    def check(parts: Parts) -> bool:
        try:
            signature = base64.b64encode(parts["signature"].encode("latin-1")).decode()
        except UnicodeEncodeError:
            return False  # in capitals it is no text of bytes any more
        given = {**request.headers, "signature": f"{name}=:{signature}:", "authorization": parts["authorization"],
                 "content-digest": parts["digest"]}  # fmt: skip
        message: Any = SimpleNamespace(method=parts["method"], url=parts["url"], headers=given)
        return _passes(lambda: verifier.verify(message, max_age=timedelta(days=36_500)), Exception)

    good = {"method": "POST", "url": str(request.url), "authorization": "Bearer abc"}
    more = {"digest": request.headers["content-digest"]}
    return {**good, **more, "signature": base64.b64decode(text.strip(":")).decode("latin-1")}, check


SCHEMES: dict[Callable[[], tuple[Parts, Check]], int] = {
    api_key: 34_000,
    refresh_token: 15_000,
    access_token: 4_000,
    signed_request: 20_000,
    standard_webhook: 15_000,
    intermediary_webhook: 10_000,
    message_signature: 2_000,
}


def _passes(run: Callable[[], object], refusal: type[Exception]) -> bool:
    try:
        run()
    except refusal:
        return False
    return True


def _changes(chance: random.Random, text: str) -> Iterator[str]:
    """One sign for another, lost, doubled, put in, moved, in the other case; at any place, the last ones often.

    Also one whose last bits only are others, which base64 may have to spare, and a zero before it all.
    """
    while True:
        at = len(text) - chance.randint(1, 3) if chance.random() < 0.2 else chance.randrange(len(text))
        before, sign_there, after = text[:at], text[at], text[at + 1 :]
        other = chance.choice(ALPHABET)
        changed = chance.choice((
            before + other + after,
            before + after,
            before + sign_there * 2 + after,
            before + other + sign_there + after,
            before + after[:1] + sign_there + after[1:],
            before + sign_there.swapcase() + after,
            before + BASE64[BASE64.find(sign_there) ^ chance.randint(1, 3)] + after,
            "0" + text,
        ))  # fmt: skip
        if changed != text:
            yield changed


def test_the_schemes_share_a_hundred_thousand_changes() -> None:
    """All of them."""
    assert sum(SCHEMES.values()) == 100_000


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.__name__)
def test_nothing_that_was_changed_is_taken(scheme: Callable[[], tuple[Parts, Check]]) -> None:
    """And what was not changed is: the check can tell."""
    good, check = scheme()
    assert check(good)
    chance = random.Random(f"changes of {scheme.__name__}")
    changes = {name: _changes(chance, text) for name, text in good.items()}
    taken = []
    for _ in range(SCHEMES[scheme]):
        name = chance.choice(list(good))
        changed = {**good, name: next(changes[name])}
        if check(changed):
            taken.append(json.dumps({name: changed[name]}))
    assert taken == []
