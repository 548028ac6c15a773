"""The page "Write your own provider", followed to the letter: its code, a real server, a real other side."""

import importlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from server.app import create_app, open_core
from server.app.core import Core, now_ms
from server.app.outside import open_outside
from server.ops.trial import Place, Step, try_account
from server.outbox.listing import Delivery, Filter, list_deliveries
from server.settings import Settings
from tests.howto.desk import API_KEY, WEBHOOK_SECRET, Desk
from tests.support.serving import in_process, served
from tests.support.shop import TIMESTAMP, Ids, sale_fields

PAGE = Path(__file__).parents[2] / "claude" / "howto" / "write-your-own-provider.md"
_BLOCK = re.compile(r"^```python\n# (tally/\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's blocks as a package that can be imported."""
    folder = tmp_path_factory.mktemp("howto")
    (folder / "tally").mkdir()
    for name, code in _BLOCK.findall(PAGE.read_text()):
        (folder / name).write_text(code)
    sys.path.insert(0, str(folder))
    yield folder / "tally"
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tally"]:
        del sys.modules[name]


@dataclass
class Shop:
    """A server whose provider is the page's, a till, an owner's phone, and Tally."""

    core: Core
    settings: Settings
    http: httpx.AsyncClient
    desk: Desk
    place: Place
    webhook_path: str
    tokens: dict[str, str]
    new_id: Ids = field(default_factory=lambda: Ids(11))

    async def sync(self, role: str, mutations: list[dict[str, Any]]) -> dict[str, Any]:
        """Push and pull everything."""
        wanted = ["sales", "customers"]
        body = {"protocol": 1, "client_id": self.new_id(), "mutations": mutations, "collections": wanted}
        answer = await self.http.post("/v1/sync", json=body, headers={"Authorization": f"Bearer {self.tokens[role]}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, collection: str, name: str, value: str) -> dict[str, Any]:
        """The fields of the record of which the owner hears that a field has this value."""
        with anyio.fail_after(20):
            while True:
                for change in (await self.sync("owner", []))["changes"]:
                    if change["collection"] == collection and change["fields"].get(name) == value:
                        return dict(change["fields"])
                await anyio.sleep(0.02)

    async def sell(self) -> str:
        """Ring up a sale; its id."""
        sale = self.new_id()
        create = {"mutation_id": 1, "uid": self.new_id(), "op": "create", "collection": "sales", "record_id": sale}
        pushed = await self.sync("terminal", [{**create, "timestamp": TIMESTAMP, "fields": sale_fields()}])
        assert pushed["verdicts"][0]["status"] == "applied"
        return sale

    async def delivery(self) -> Delivery:
        """The only one there is."""
        (one,) = await list_deliveries(self.core.database, self.place.tenant_id, Filter())
        return one

    async def tried(self) -> list[Step]:
        """What `rientro provider test` says."""
        async with open_outside(self.core, self.settings) as outbound:
            adapters = self.core.kinds.adapters(outbound, now_ms)
            return await try_account(self.core.database, self.place, adapters, self.core.credentials.secrets)


@pytest.fixture
async def shop(package: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    """Set up as the page says."""
    settings, desk = Settings(data=tmp_path, allow_loopback=True, providers="tally"), Desk()
    desk.customers = [{"id": "C-9", "revision": 7, "name": "Bianchi", "email": None}]
    async with AsyncExitStack() as opened:
        url = await opened.enter_async_context(served(desk.app()))
        core = await opened.enter_async_context(open_core(settings))
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        tokens = {
            role: (await core.admin.add_device(tenant_id, role, role, "centro")).token for role in ("owner", "terminal")
        }
        values = {"url": url, "api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}
        made = await core.endpoints.add(tenant_id, "tally", "Conti", values)
        http = await opened.enter_async_context(in_process(create_app(settings)))
        place = Place(tenant_id, made.endpoint_id)
        yield Shop(core, settings, http, desk, place, made.webhook_path, tokens)


def test_the_page_has_the_files_it_speaks_of(package: Path) -> None:
    """And the provider itself is as short as it says."""
    assert {path.name for path in package.iterdir()} >= {
        "__init__.py", "mapping.py", "provider.py", "telling.py", "test_mapping.py"
    }  # fmt: skip
    code = "".join(code for name, code in _BLOCK.findall(PAGE.read_text()) if "test_" not in name)
    written = [line for line in code.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(written) <= 130


def test_its_test_passes(package: Path) -> None:
    """The one that a reader copies."""
    module = importlib.import_module("tally.test_mapping")
    module.test_a_customer_goes_there_and_back()


async def test_a_sale_goes_out_once_and_comes_back_with_a_name(shop: Shop) -> None:
    """Also where the first answer was lost: the same key, the same bytes, one entry."""
    shop.desk.failures = 1
    sale = await shop.sell()
    with anyio.fail_after(20):
        await shop.desk.entered.wait()
    fields = await shop.until("sales", "forward_reference", "T-1")
    assert fields["forward_status"] == "delivered"
    ((key, first), second) = shop.desk.arrivals
    assert second == (key, first)
    assert list(shop.desk.entries) == [(await shop.delivery()).idempotency_key]
    (entered,) = shop.desk.entries.values()
    assert entered["entry"] == {"sale": sale, "day": fields["business_day"], "amount": fields["total"], "void": False}


async def test_a_webhook_becomes_a_customer_and_an_older_one_changes_nothing(shop: Shop) -> None:
    """A forged one is refused, an unreadable one kept for a person."""
    told = {"id": "C-1", "revision": 3, "name": "Rossi", "email": "rossi@example.com"}
    body, headers = shop.desk.told(told)
    assert (await shop.http.post(shop.webhook_path, content=body, headers=headers)).status_code == 200
    assert (await shop.until("customers", "name", "Rossi"))["email"] == "rossi@example.com"
    for number, later in enumerate(
        ({**told, "revision": 2, "name": "Older"}, {**told, "revision": 4, "name": "Verdi"})
    ):
        body, headers = shop.desk.told(later, f"evt-{number + 2}")
        assert (await shop.http.post(shop.webhook_path, content=body, headers=headers)).status_code == 200
    await shop.until("customers", "name", "Verdi")
    forged = await shop.http.post(shop.webhook_path, content=body, headers={**headers, "webhook-signature": "v1,AAAA"})
    assert forged.status_code == 401


async def test_a_poll_finds_what_no_webhook_told(shop: Shop) -> None:
    """At the start of the server, and every quarter of an hour."""
    assert (await shop.until("customers", "name", "Bianchi"))["email"] is None


async def test_its_health_is_told_step_by_step(shop: Shop) -> None:
    """And a key that is no good is found out before a sale is."""
    assert (await shop.tried())[-1] == ("answer", True, "it knows our key")
    shop.desk.api_key = "another"
    assert (await shop.tried())[-1] == ("answer", False, "it answers 401 to our key")
