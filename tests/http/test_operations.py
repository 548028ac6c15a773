"""`/v1/operations/…`: an owner sees their own queues and acts on them; nobody else does."""

from server.app import open_core
from server.settings import Settings
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.http.conftest import Api

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def _sell(api: Api, settings: Settings, count: int) -> None:
    """So many sales, each with a delivery to an account at a provider."""
    async with open_core(settings, migrate=False) as core:
        values = {"url": "https://example.org/in", "secret": SECRET}
        await core.endpoints.add(api.tenant_id, "http", "Contabile", values)
    for number in range(count):
        answer = await api.sync(api.request(api.sale(receipt_no=number + 1)))
        assert answer.json()["verdicts"][0]["status"] == "applied"


async def _mark(api: Api, settings: Settings, state: str) -> None:
    async def job(writing: Writing) -> None:
        await writing.tx.execute(
            Statement("UPDATE outbox SET state = :state, holds = true WHERE tenant_id = :tenant_id"),
            {"tenant_id": api.tenant_id, "state": state},
        )

    async with open_core(settings, migrate=False) as core:
        await core.writer.submit(Job([api.tenant_id], job))


async def test_only_an_owner_looks_and_acts(api: Api) -> None:
    """A clerk and a till are told that it is not theirs to do."""
    paths = [("GET", "deliveries"), ("GET", "events"), ("GET", "depths"), ("POST", "deliveries/redrive")]
    for role in ("clerk", "terminal"):
        for method, path in [*paths, ("POST", "events/replay")]:
            answer = await api.http.request(method, f"/v1/operations/{path}", headers=api.headers(role))
            assert (role, path, answer.status_code, answer.json()["code"]) == (role, path, 403, "forbidden")


async def test_deliveries_come_newest_first_in_pages(api: Api, settings: Settings) -> None:
    """Each page goes on where the one before ended, and the last one says that it is."""
    await _sell(api, settings, 3)
    seen: list[str] = []
    after = ""
    for _ in range(3):
        answer = await api.http.get(f"/v1/operations/deliveries?limit=2{after}", headers=api.headers("owner"))
        page = answer.json()
        seen += [one["delivery_id"] for one in page["deliveries"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 3


async def test_a_dead_delivery_is_sent_again_and_one_in_doubt_only_when_that_is_said(
    api: Api, settings: Settings
) -> None:
    """For what is in doubt may take effect twice: that is a person's decision."""
    await _sell(api, settings, 2)
    await _mark(api, settings, "in_doubt")
    path, headers = "/v1/operations/deliveries/redrive", api.headers("owner")
    assert (await api.http.post(path, headers=headers, json={})).json() == {"count": 0}
    assert (await api.http.post(path, headers=headers, json={"in_doubt": True})).json() == {"count": 2}
    await _mark(api, settings, "dead")
    listed = (await api.http.get("/v1/operations/deliveries?state=dead", headers=headers)).json()["deliveries"]
    one = {"ids": [listed[0]["delivery_id"]]}
    assert (await api.http.post(path, headers=headers, json=one)).json() == {"count": 1}
    left = (await api.http.get("/v1/operations/deliveries?state=dead", headers=headers)).json()["deliveries"]
    assert [row["delivery_id"] for row in left] == [listed[1]["delivery_id"]]


async def test_what_holds_nothing_up_cannot_be_passed(api: Api, settings: Settings) -> None:
    """Unknown ones are not there, and waiting ones hold their record's place rightly."""
    await _sell(api, settings, 1)
    headers = api.headers("owner")
    (one,) = (await api.http.get("/v1/operations/deliveries", headers=headers)).json()["deliveries"]
    asked = {one["delivery_id"]: (409, "not_stuck"), api.new_id(): (404, "unknown_delivery")}
    for delivery_id, told in asked.items():
        answer = await api.http.post(f"/v1/operations/deliveries/{delivery_id}/let-pass", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == told


async def test_depths_tell_what_waits_now_at_their_end(api: Api, settings: Settings) -> None:
    """The last moment is now; nothing waited before it was made."""
    await _sell(api, settings, 2)
    told = (await api.http.get("/v1/operations/depths?hours=1", headers=api.headers("owner"))).json()
    assert len(told["at"]) == len(told["outbox"]["waiting"]) == len(told["inbox"]["oldest_s"]) == 49
    assert (told["outbox"]["waiting"][0], told["outbox"]["waiting"][-1]) == (0, 2)
    assert told["inbox"]["waiting"] == [0] * 49
