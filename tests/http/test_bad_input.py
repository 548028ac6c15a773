"""Bad input gets a clear refusal with a stable code, never a 500, and nothing of it is half applied."""

import gzip
import json
from typing import Any

from server.collections import registry
from server.routes.api import operations
from tests.http.conftest import EMPTY_CLIENT, Api
from tests.support.shop import TIMESTAMP, sale_fields

DEEP = b"[" * 100_000 + b"]" * 100_000
BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed"),
    "half a document": (b'{"protocol": 1,', 400, "malformed"),
    "not utf-8": (b'{"protocol": 1, "x": "\xff\xfe"}', 400, "malformed"),
    "a list": (b"[]", 400, "malformed"),
    "no client": (b'{"protocol": 1}', 400, "malformed"),
    "a number as client": (b'{"protocol": 1, "client_id": 7}', 400, "malformed"),
    "another protocol": (b'{"protocol": 2}', 422, "unsupported_protocol"),
    "true as protocol": (b'{"protocol": true}', 400, "malformed"),
    "deep nesting": (DEEP, 400, "malformed"),
    "NaN": (b'{"protocol": NaN}', 400, "malformed"),
    "a mutation that is no object": (
        b'{"protocol": 1, "client_id": "%s", "mutations": [7]}' % EMPTY_CLIENT.encode(),
        400,
        "malformed",
    ),
    "a mutation without uid": (
        b'{"protocol": 1, "client_id": "%s", "mutations": [{"mutation_id": 1}]}' % EMPTY_CLIENT.encode(),
        400,
        "malformed",
    ),
    "too many mutations": (
        b'{"protocol": 1, "client_id": "%s", "mutations": [%s]}' % (EMPTY_CLIENT.encode(), b"{}," * 1000 + b"{}"),
        413,
        "too_large",
    ),
    "too many bytes": (b" " * (4 * 1024 * 1024 + 1), 413, "too_large"),
    "limit of zero": (b'{"protocol": 1, "client_id": "%s", "limit": 0}' % EMPTY_CLIENT.encode(), 400, "malformed"),
}


async def test_a_body_that_is_not_the_protocols_is_refused_with_a_code(api: Api) -> None:
    """The whole request is refused, and the refusal says why."""
    answers = {name: await api.sync(body) for name, (body, _, _) in BAD_BODIES.items()}
    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in answers.items()} == {
        name: (status, code) for name, (_, status, code) in BAD_BODIES.items()
    }
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}


async def test_gzip_is_taken_and_broken_gzip_refused(api: Api) -> None:
    """Also a bomb: it is inflated no further than the limit."""
    body = json.dumps(api.request()).encode()
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    sent = [(gzip.compress(body), 200), (b"\x1f\x8b broken", 400), (gzip.compress(body)[:-4], 400), (bomb, 413)]
    for content, status in sent:
        response = await api.sync(content, **{"Content-Encoding": "gzip"})
        assert response.status_code == status
    assert (await api.sync(body, **{"Content-Encoding": "br"})).json()["code"] == "unsupported_encoding"


BAD_FIELDS: dict[str, dict[str, Any]] = {
    "a float": {"total": 1.2},
    "an integer": {"total": 1},
    "three places": {"total": "1.200"},
    "beyond DECIMAL(10,2)": {"total": "100000000.00"},
    "not a number": {"total": "NaN"},
    "an exponent": {"total": "1e2"},
    "a plus sign": {"total": "+1.20"},
    "a leading zero": {"total": "01.20"},
    "NUL": {"note": "a\x00b"},
    "a lone surrogate": {"note": "\ud83d"},
    "a long text": {"note": "x" * 501},
    "an impossible day": {"business_day": "2025-02-29"},
    "a local time": {"sold_at": "2025-11-24T10:00:00+01:00"},
    "an unknown field": {"colour": "red"},
    "null where a value belongs": {"total": None},
    "a line that is no object": {"lines": [1]},
    "a float in a line": {"lines": [{"description": "x", "quantity": 1.0}]},
    "an upper-case uuid": {"customer_id": "0192F0C1-0000-7000-8000-000000000001"},
    "an unknown status": {"status": "gone"},
    "text for a list": {"vat": "10"},
    "deep nesting": {"note": json.loads("[" * 150 + "]" * 150)},
    "a huge number": {"receipt_no": 10**400},
}


async def test_a_wrong_value_rejects_its_mutation_alone(api: Api) -> None:
    """Of a queue full of them each is refused, those between them apply, and no message repeats a value."""
    bad = [_sale(api, 2 * place + 1, fields) for place, fields in enumerate(BAD_FIELDS.values())]
    good = [_sale(api, 2 * place + 2, {}) for place in range(len(bad))]
    queue = [mutation for pair in zip(bad, good, strict=True) for mutation in pair]
    verdicts = (await api.sync(api.request(*queue))).json()["verdicts"]
    refused = dict(zip(BAD_FIELDS, verdicts[::2], strict=True))
    assert {name: verdict["code"] for name, verdict in refused.items()} == dict.fromkeys(BAD_FIELDS, "invalid")
    assert {verdict["status"] for verdict in verdicts[1::2]} == {"applied"}
    for name, verdict in refused.items():
        (value,) = BAD_FIELDS[name].values()
        assert not isinstance(value, str) or value not in verdict["message"], name


async def test_what_a_mutation_misses_is_named(api: Api) -> None:
    """A creation without its fields says which."""
    fields = sale_fields(1)
    del fields["total"], fields["vat"]
    mutation = _sale(api, 1, {}) | {"fields": fields}
    (verdict,) = (await api.sync(api.request(mutation))).json()["verdicts"]
    assert (verdict["code"], verdict["message"]) == ("missing_field", "a creation needs total, vat")


BAD_TOKENS = (
    "",
    "x",
    "Bearer",
    "rnt_" + "0" * 32 + "_" + "0" * 32 + "_" + "0" * 64,
    "rnt_é",
    "' OR 1=1 --",
    "a" * 10_000,
)


async def test_a_bad_token_is_refused_everywhere(api: Api) -> None:
    """Without a valid token only health, the document and signed webhooks are answered."""
    public = {operation.path for operation in operations(registry()) if operation.public}
    told = {
        "/v1/webhooks/{provider}/{address}",
        "/v1/soap/{provider}/{address}",
        "/v1/oauth/callback",
        "/.well-known/jwks.json",
    }
    told |= {"/v1/auth/refresh", "/v1/auth/sign-out"}  # a refresh token lets in, and is no bearer
    told |= {f"/v1/auth/{way}" for way in ("password", "setup", "pair", "passkey/options", "passkey/sign-in")}
    told |= {f"/v1/auth/{way}" for way in ("ways", "oidc/start", "oidc/callback")}
    assert public == {"/health/live", "/health/ready", "/openapi.json", *told}
    for operation in operations(registry()):
        for token in () if operation.public else BAD_TOKENS:
            headers = {b"Authorization": f"Bearer {token}".encode()}
            response = await api.http.request(operation.method, operation.path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_a_changed_secret_of_a_real_device_is_refused(api: Api) -> None:
    """Tenant and device are right, one digit is not."""
    token = api.tokens["terminal"]
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    response = await api.http.get("/v1/schema", headers={"Authorization": f"Bearer {other}"})
    assert response.status_code == 401


async def test_unknown_addresses_and_methods_answer_with_problems(api: Api) -> None:
    """Like everything else that goes wrong."""
    for method, path, code in (("GET", "/nothing", "not_found"), ("DELETE", "/v1/sync", "method_not_allowed")):
        response = await api.http.request(method, path)
        assert response.json()["code"] == code


def _sale(api: Api, number: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "mutation_id": number,
        "uid": api.new_id(),
        "collection": "sales",
        "record_id": api.new_id(),
        "op": "create",
        "timestamp": TIMESTAMP,
        "fields": sale_fields(number, **fields),
    }
