"""`rientro trace`, in real processes."""

from pathlib import Path

from server.app import create_app, open_core
from server.settings import Settings
from tests.cli.commands import rientro, rientro_json
from tests.support.serving import in_process
from tests.support.shop import TIMESTAMP, Ids, sale_fields


async def _sold(data: Path) -> tuple[str, str]:
    """A sale bound to go out, and who sent it: (uid, tenant)."""
    new_id = Ids(11)
    async with open_core(Settings(data=data)) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        values = {"url": "https://example.org/in", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
        await core.endpoints.add(tenant_id, "http", "Ufficio", values)
        device = await core.admin.add_device(tenant_id, "Cassa 1", "terminal", "centro")
    uid = new_id()
    mutation = {"mutation_id": 1, "uid": uid, "collection": "sales", "record_id": new_id(), "op": "create",
                "timestamp": TIMESTAMP, "fields": sale_fields()}  # fmt: skip
    async with in_process(create_app(Settings(data=data, relay=False), migrate=False)) as http:
        headers = {"Authorization": f"Bearer {device.token}", "X-Request-ID": "till-1-0000001"}
        body = {"protocol": 1, "client_id": new_id(), "mutations": [mutation]}
        assert (await http.post("/v1/sync", json=body, headers=headers)).status_code == 200
    return uid, tenant_id


async def test_a_sale_s_way_is_told_for_people_and_for_programs(tmp_path: Path) -> None:
    """Without naming the merchant; who sent it, what became of it, where it waits; and nothing of the sale itself."""
    uid, tenant_id = await _sold(tmp_path)
    told = rientro_json(tmp_path, "trace", uid)
    assert (told["tenant_id"], told["story"][0]["facts"]["device"]) == (tenant_id, "Cassa 1")
    assert told["story"][0]["then"][0]["facts"]["correlation_id"] == "till-1-0000001"
    assert [one["what"] for one in told["timeline"]][-1] == "to be tried next"
    assert [one["at"] for one in told["timeline"]] == sorted(one["at"] for one in told["timeline"])
    shown = rientro(tmp_path, "trace", "till-1-0000001")
    assert all(part in shown.stdout for part in (uid, "status=applied", "sales.forward", "accepted into the outbox"))
    assert "caff" not in shown.stdout


async def test_an_id_that_nothing_has_is_told_in_a_line(tmp_path: Path) -> None:
    """And a program sees that it failed."""
    async with open_core(Settings(data=tmp_path)):
        pass
    unknown = rientro(tmp_path, "trace", "no-such-id")
    assert (unknown.returncode, unknown.stdout, unknown.stderr.startswith("error: nothing here")) == (1, "", True)
