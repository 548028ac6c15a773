"""What was kept, by the command line: shown, sent again corrected, and told in plain words where that cannot be."""

from pathlib import Path
from typing import Any

from tests.cli.commands import rientro, rientro_json
from tests.support.shop import Shop, open_shop


async def test_a_rejected_sale_is_found_and_sent_again_corrected(sqlite_url: str, tmp_path: Path) -> None:
    """Text as it stands, numbers as JSON, names to leave out; then it is marked, and no longer to be put aside."""
    async with open_shop(sqlite_url) as shop:
        till, tenant = shop.device(), ("--tenant", shop.tenant_id)
        bad = till.sale(shop="centro", total="9.99", receipt_no=1, note="ricontare", colour="red")
        await till.send(bad)
        await shop.admin.add_device(shop.tenant_id, "Cassa", "terminal", "centro")
        correction = ("--set", "total=1.20", "--set", "receipt_no=7", "--drop", "colour", "--drop", "note")
        resent = rientro_json(tmp_path, "rejected", "resend", bad["uid"], *tenant, *correction)
        (row,) = rientro_json(tmp_path, "rejected", "list", *tenant)
        assert (row["body"], row["resolved_by"], row["resolved_as"]) == (bad, None, resent["uid"])
        (change,) = await shop.device("owner").pull("sales")
        fields = change["fields"]
        assert (fields["total"], fields["receipt_no"], fields["note"]) == ("1.20", 7, None)
        late = rientro(tmp_path, "rejected", "dismiss", bad["uid"], *tenant)
        assert (late.returncode, "was sent again" in late.stderr, "Traceback" in late.stderr) == (1, True, False)


async def test_what_lost_is_listed_page_by_page(sqlite_url: str, tmp_path: Path) -> None:
    """Of one record, since a day; where there is more, the way on is said beside the list."""
    async with open_shop(sqlite_url) as shop:
        customer = await _quarrel(shop)
        tenant_id = shop.tenant_id
    chosen = ("--tenant", tenant_id, "--collection", "customers", "--record", customer, "--since", "2025-11-24")
    done = rientro(tmp_path, "superseded", "list", *chosen, "--limit", "1")
    assert (done.returncode, "prima" in done.stdout, "There is more: go on with --after" in done.stderr) == (
        0,
        True,
        True,
    )


async def _quarrel(shop: Shop) -> str:
    one, two = shop.device("owner"), shop.device("owner")
    customer = shop.new_id()
    await one.send(one.mutation("customers", customer, fields={"name": "Rossi"}))
    late: dict[str, Any] = {"base_version": 1, "timestamp": "2025-11-24T10:00:05.000Z"}
    await one.send(one.mutation("customers", customer, "update", **late, fields={"note": "dopo", "phone": "2"}))
    await two.send(
        two.mutation("customers", customer, "update", base_version=1, fields={"note": "prima", "phone": "prima"})
    )
    return customer
