"""The edge: headers on every answer, other origins, the client behind a proxy, rate limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from server.app import create_app
from server.middleware.buckets import Buckets, Rate
from server.middleware.headers import CSP
from server.settings import Settings
from tests.http.conftest import Api
from tests.support.serving import in_process, served

SHOP = "https://till.shop.example"


@asynccontextmanager
async def opened(settings: Settings, **changed: object) -> AsyncIterator[httpx.AsyncClient]:
    """The application by other settings."""
    app = create_app(settings.model_copy(update=changed), migrate=False)
    async with in_process(app, raise_app_exceptions=False) as http:
        yield http


@pytest.fixture
def lite(sqlite_url: str, tmp_path: Path) -> Settings:
    """An installation on SQLite: what is tested with it asks the database nothing."""
    assert sqlite_url.endswith(f"{tmp_path}/rientro.db")
    return Settings(data=tmp_path, relay=False)


async def test_every_answer_has_the_security_headers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers, problems, what is not found, and what a defect of ours is answered with."""

    def broken(*_: object) -> object:
        raise RuntimeError

    monkeypatch.setattr("server.routes.sync.describe_collections", broken)
    statuses = []
    for path, headers in (("/health/live", {}), ("/nowhere", {}), ("/v1/schema", {}), ("/v1/schema", api.headers())):
        answer = await api.http.get(path, headers=headers)
        statuses.append(answer.status_code)
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "strict-transport-security" not in answer.headers
    assert statuses == [200, 404, 401, 500]


async def test_a_stream_has_them_too(api: Api, settings: Settings) -> None:
    """Over a real socket."""
    async with (
        served(create_app(settings, migrate=False)) as url,
        httpx.AsyncClient(base_url=url) as http,
        http.stream("GET", "/v1/live", headers=api.headers()) as stream,
    ):
        assert (stream.status_code, stream.headers["x-content-type-options"]) == (200, "nosniff")


def test_the_policy_lets_nothing_in_line_run() -> None:
    """Nor be evaluated, nor framed."""
    assert "unsafe" not in CSP
    assert {"default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'"} <= set(CSP.split("; "))


async def test_other_origins_are_closed_out(api: Api) -> None:
    """Nothing says that they may: a browser stops them."""
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    preflight = await api.http.options("/v1/sync", headers=asked)
    plain = await api.http.get("/health/live", headers={"Origin": SHOP})
    for answer in (preflight, plain):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert preflight.status_code == 405


@pytest.mark.parametrize(
    ("origin", "status"),
    [(SHOP, 200), ("https://evil.example", 400), (f"{SHOP}.evil.example", 400), (f"{SHOP}:8443", 400), ("null", 400)],
)
async def test_an_origin_that_is_named_may_ask(lite: Settings, origin: str, status: int) -> None:
    """That one exactly; never with cookies."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization, content-type"}  # fmt: skip
    async with opened(lite, cors_origins=SHOP) as http:
        preflight = await http.options("/v1/sync", headers=asked)
        answer = await http.post("/v1/sync", headers={"Origin": origin})
    assert preflight.status_code == status
    told = answer.headers.get("access-control-allow-origin")
    assert told == preflight.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    assert "access-control-allow-credentials" not in preflight.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cors_origins", "*"),
        ("cors_origins", "https://*.example"),
        ("cors_origins", "https://a.example/"),
        ("cors_origins", "a.example"),
        ("trusted_proxy", "proxy.example"),
        ("trusted_proxy", "10.0.0.0/99"),
    ],
)
def test_a_setting_that_opens_too_much_or_nothing_is_refused(name: str, value: str) -> None:
    """It is said which, before anything is served."""
    with pytest.raises(ValidationError, match="is no"):
        Settings.model_validate({name: value})


async def statuses_of(http: httpx.AsyncClient, count: int, path: str, **headers: str) -> list[int]:
    """What so many requests in a row are answered with."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(await http.get(path, headers=names)).status_code for _ in range(count)]


async def test_what_comes_too_fast_is_told_when_to_come_again(lite: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a problem with `Retry-After`; health checks never; another address goes on."""
    monkeypatch.setattr("server.app.edge._ADDRESS_BURST", 3)
    async with opened(lite, address_rate=0.1, trusted_proxy="127.0.0.1") as http:
        mine, other = {"x_forwarded_for": "203.0.113.9"}, {"x_forwarded_for": "203.0.113.10"}
        assert await statuses_of(http, 4, "/openapi.json", **mine) == [200, 200, 200, 429]
        assert await statuses_of(http, 4, "/health/live", **mine) == [200] * 4
        assert await statuses_of(http, 1, "/openapi.json", **other) == [200]
        answer = await http.get("/openapi.json", headers={"x-forwarded-for": "203.0.113.9"})
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["code"], told["retry_after_s"]) == ("too_many_address", int(answer.headers["retry-after"]))
    assert 1 <= told["retry_after_s"] <= 10


async def test_a_device_is_limited_by_its_token_wherever_it_is(lite: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one behind the same address goes on."""
    monkeypatch.setattr("server.app.edge._DEVICE_BURST", 2)
    async with opened(lite, device_rate=0.1, trusted_proxy="127.0.0.1") as http:
        seen = []
        for address, token in (
            ("203.0.113.9", "a"),
            ("203.0.113.10", "a"),
            ("203.0.113.11", "a"),
            ("203.0.113.9", "b"),
        ):
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
            seen.append((await http.get("/openapi.json", headers=headers)).status_code)
    assert seen == [200, 200, 429, 200]


async def test_a_token_has_one_bucket_however_it_is_written(lite: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another case of the scheme, or more spaces, nobody gets another one."""
    monkeypatch.setattr("server.app.edge._DEVICE_BURST", 2)
    async with opened(lite, device_rate=0.1) as http:
        seen = [
            (await http.get("/openapi.json", headers={"Authorization": written})).status_code
            for written in ("Bearer a", "bearer a", "Bearer   a", "BEARER a")
        ]
    assert seen == [200, 200, 429, 429]


async def test_signing_in_is_limited_more_strictly(lite: Settings) -> None:
    """Twenty people who come at once are let in; whoever goes on trying waits."""
    async with opened(lite) as http:
        seen = [(await http.post("/v1/auth/password", content=b"[]")).status_code for _ in range(70)]
    assert seen[:60] == [400] * 60
    assert 429 in seen


@pytest.mark.parametrize("path", ["/v1/auth/refresh", "/v1/auth/sign-out"])
async def test_a_guest_in_the_shop_keeps_no_till_from_being_renewed(lite: Settings, path: str) -> None:
    """However many junk tokens and passwords came from the address that they share."""
    async with opened(lite) as http:
        for _ in range(70):
            await http.post("/v1/auth/password", content=b"[]")
        seen = {(await http.post(path, content=b"[]")).status_code for _ in range(70)}
    assert seen == {400}


async def test_coming_back_from_a_provider_is_limited_like_a_sign_in(lite: Settings) -> None:
    """Though a browser does it by GET; what is only looked at is not."""
    async with opened(lite) as http:
        seen = [(await http.get("/v1/auth/oidc/callback")).status_code for _ in range(70)]
        assert (await http.get("/v1/auth/ways")).status_code == 200
    assert seen[:60] == [404] * 60
    assert 429 in seen


async def test_a_long_queue_and_a_full_shop_are_not_slowed(lite: Settings) -> None:
    """Twenty tills behind one address, each with 10,000 mutations in batches of 200, at once."""
    async with opened(lite) as http:
        for till in range(20):
            headers = {"Authorization": f"Bearer {till}"}
            seen = {(await http.get("/openapi.json", headers=headers)).status_code for _ in range(10_000 // 200)}
            assert seen == {200}


def test_no_more_buckets_are_kept_than_asked_for() -> None:
    """However many addresses come by; a bucket fills again with time, and never over its brim."""
    buckets = Buckets(Rate(10, 5), most=100)
    assert [buckets.take(b"a", 0.0) > 0 for _ in range(6)] == [False] * 5 + [True]
    assert buckets.take(b"a", 0.0) == pytest.approx(0.1)
    assert [buckets.take(b"a", 0.2) > 0 for _ in range(3)] == [False, False, True]
    assert [buckets.take(b"a", 1e6) > 0 for _ in range(6)] == [False] * 5 + [True]
    for number in range(1000):
        assert buckets.take(str(number).encode(), 0.0) == 0
    assert len(buckets) == 100


async def test_by_https_a_browser_is_told_to_stay_with_it(lite: Settings) -> None:
    """Also where a proxy of ours ended it; never because anybody says so."""
    https = {"x-forwarded-proto": "https"}
    async with opened(lite, trusted_proxy="127.0.0.1") as http:
        assert "strict-transport-security" in (await http.get("/health/live", headers=https)).headers
    async with opened(lite) as http:
        assert "strict-transport-security" not in (await http.get("/health/live", headers=https)).headers
