"""What was kept, over HTTP: who sees it, who acts on it, and what is refused before anybody looks."""

from typing import Any

from tests.http.conftest import Api
from tests.support.shop import TIMESTAMP, sale_fields

ROLES = ("owner", "clerk", "terminal")
NOBODY = "00000000-0000-7000-8000-000000000000"


def sale(api: Api, number: int = 1, op: str = "create", **members: Any) -> dict[str, Any]:
    """A mutation of a sale."""
    known = {"mutation_id": number, "uid": api.new_id(), "collection": "sales", "record_id": api.new_id(), "op": op}
    return {**known, "timestamp": TIMESTAMP, **members}


async def refused(api: Api, role: str) -> str:
    """A sale of a role's device that breaks a rule; its uid."""
    mutation = sale(api, fields=sale_fields(total="9.99"))
    (verdict,) = (await api.sync(api.request(mutation), role)).json()["verdicts"]
    assert verdict["code"] == "rule_broken"
    uid: str = mutation["uid"]
    return uid


async def get(api: Api, path: str, role: str = "owner", **parameters: Any) -> Any:
    """The answer's document."""
    return (await api.http.get(path, params=parameters, headers=api.headers(role))).json()


async def post(api: Api, uid: str, act: str, role: str = "owner", **body: Any) -> tuple[int, Any]:
    """The answer's status and document."""
    response = await api.http.post(f"/v1/rejected/{uid}/{act}", json=body, headers=api.headers(role))
    return response.status_code, response.json()


async def test_an_owner_sees_all_that_was_rejected_and_others_their_own(api: Api) -> None:
    """Each with the body as it was sent."""
    uids = {role: await refused(api, role) for role in ROLES}
    seen = {role: await get(api, "/v1/rejected", role) for role in ROLES}
    assert {role: {row["uid"] for row in page["rejected"]} for role, page in seen.items()} == {
        "owner": set(uids.values()),
        "clerk": {uids["clerk"]},
        "terminal": {uids["terminal"]},
    }
    (row,) = seen["terminal"]["rejected"]
    assert (row["device_name"], row["body"]["fields"]["total"]) == ("terminal", "9.99")


async def test_a_page_names_where_the_next_one_begins(api: Api) -> None:
    """And the last one says that it is the last."""
    uids = {await refused(api, role) for role in ROLES}
    first = await get(api, "/v1/rejected", limit=2)
    second = await get(api, "/v1/rejected", limit=2, after=first["next"])
    assert (len(first["rejected"]), len(second["rejected"]), second["next"]) == (2, 1, None)
    assert {row["uid"] for page in (first, second) for row in page["rejected"]} == uids


async def test_what_no_utf_8_can_carry_comes_back_as_it_was_sent(api: Api) -> None:
    """A lone surrogate is why it was refused, and it is still there."""
    await api.sync(api.request(sale(api, fields=sale_fields(note="\ud83d"))))
    (row,) = (await get(api, "/v1/rejected"))["rejected"]
    assert row["body"]["fields"]["note"] == "\ud83d"


async def test_only_an_owner_acts(api: Api) -> None:
    """A device may not even for what it sent itself; it has its own queue for that."""
    for role in ("clerk", "terminal"):
        for uid in (await refused(api, role), NOBODY):
            answers = [await post(api, uid, act, role) for act in ("resend", "dismiss")]
            assert [(status, problem["code"]) for status, problem in answers] == [(403, "forbidden")] * 2
    assert (await get(api, "/v1/rejected"))["rejected"][0]["resolved_at"] is None


async def test_an_owner_sends_again_and_the_row_says_so(api: Api) -> None:
    """Twice the same correction is once; another one comes too late."""
    uid = await refused(api, "terminal")
    status, problem = await post(api, uid, "resend", fields={"total": "1.21"})
    assert (status, problem["code"], problem["reason"]) == (422, "still_rejected", "rule_broken")
    answers = [await post(api, uid, "resend", fields={"total": "1.20"}) for _ in range(2)]
    assert [(status, answer["status"], answer["duplicate"]) for status, answer in answers] == [
        (200, "applied", False),
        (200, "applied", True),
    ]
    (row,) = (await get(api, "/v1/rejected"))["rejected"]
    assert row["resolved_as"] == answers[0][1]["uid"]
    status, problem = await post(api, uid, "resend", fields={"total": "1.20", "note": "x"})
    assert (status, problem["code"]) == (409, "already_resent")


async def test_an_owner_puts_aside(api: Api) -> None:
    """It stays in the list, with the device it was done on."""
    uid = await refused(api, "terminal")
    assert await post(api, uid, "dismiss") == (200, {"uid": uid, "status": "dismissed"})
    (row,) = (await get(api, "/v1/rejected"))["rejected"]
    assert (row["resolved_as"], row["resolved_by"] is None) == (None, False)


async def test_what_cannot_be_acted_on_has_a_stable_code(api: Api) -> None:
    """Not there, no uid, no correction, and no mutation."""
    broken = sale(api, record_id="x")
    await api.sync(api.request(broken))
    uid = await refused(api, "terminal")
    asked = {
        "unknown_rejection": (NOBODY, {}),
        "bad_parameter": ("x", {}),
        "malformed": (uid, {"colour": 1}),
        "not_correctable": (broken["uid"], {}),
    }
    found = {code: await post(api, one, "resend", "owner", **body) for code, (one, body) in asked.items()}
    assert {code: (status, problem["code"]) for code, (status, problem) in found.items()} == {
        "unknown_rejection": (404, "unknown_rejection"),
        "bad_parameter": (400, "bad_parameter"),
        "malformed": (400, "malformed"),
        "not_correctable": (422, "not_correctable"),
    }


async def test_a_losing_value_is_told_to_whoever_sees_its_record(api: Api) -> None:
    """With who wrote it; of a record out of sight nothing is told, as of one that is not there."""
    created = sale(api, fields=sale_fields())
    record = created["record_id"]
    edit = {"op": "update", "record_id": record, "base_version": 1}
    late = sale(api, 2, **edit, fields={"note": "dopo"}) | {"timestamp": "2025-11-24T10:00:05.000Z"}
    await api.sync(api.request(created, late), "owner")
    await api.sync(api.request(sale(api, **edit, fields={"note": "prima"})), "clerk")
    for role in ROLES:
        page = await get(api, "/v1/superseded", role, collection="sales", record_id=record)
        assert [(row["field"], row["value"], row["device_name"]) for row in page["superseded"]] == [
            ("note", "prima", "clerk")
        ]
    for unseen in ({"collection": "sales", "record_id": NOBODY}, {"collection": "nothing", "record_id": record}):
        assert await get(api, "/v1/superseded", **unseen) == {"superseded": [], "next": None}


BAD = {
    "/v1/rejected?limit=0": ("limit", "the parameter limit is not of its form"),
    "/v1/rejected?limit=x": ("limit", "the parameter limit is not of its form"),
    "/v1/rejected?limit=1&limit=2": ("limit", "the parameter limit is given more than once"),
    "/v1/rejected?after=2025": ("after", "the parameter after is not of its form"),
    "/v1/rejected?aftr=x": (None, "this address takes no such parameter: see /openapi.json"),
    "/v1/superseded?collection=sales": ("record_id", "the parameter record_id is missing"),
    "/v1/superseded?collection=%00&record_id=x": ("collection", "the parameter collection is not of its form"),
    "/v1/superseded?collection=sales&record_id=x": ("record_id", "the parameter record_id is not of its form"),
}


async def test_a_bad_parameter_is_named_and_not_quoted(api: Api) -> None:
    """With a stable code."""
    for path, expected in BAD.items():
        response = await api.http.get(path, headers=api.headers())
        problem = response.json()
        assert (response.status_code, problem["code"]) == (400, "bad_parameter")
        assert (problem.get("parameter"), problem["detail"]) == expected


async def test_parameters_are_described_by_what_parses_them(api: Api) -> None:
    """Names, places, forms and defaults."""
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    described = {
        (path, one["name"]): (one["in"], one["required"], one["schema"].get("default"))
        for path in ("/v1/rejected", "/v1/superseded", "/v1/rejected/{uid}/resend")
        for operation in paths[path].values()
        for one in operation["parameters"]
    }
    assert described == {
        ("/v1/rejected", "after"): ("query", False, None),
        ("/v1/rejected", "limit"): ("query", False, 100),
        ("/v1/superseded", "collection"): ("query", True, None),
        ("/v1/superseded", "record_id"): ("query", True, None),
        ("/v1/superseded", "after"): ("query", False, None),
        ("/v1/superseded", "limit"): ("query", False, 100),
        ("/v1/rejected/{uid}/resend", "uid"): ("path", True, None),
    }
