"""Collecting: what goes into the outbox, when, and what it carries."""

import json
from typing import Any

import pytest

from server.outbox.collect import Forwarder
from server.outbox.keys import idempotency_key
from server.ports import Cause, Route
from server.storage.database import DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.protocol import Mutation
from tests.outbox.outlet import Outlet, Scripted, open_outlet
from tests.support.shop import TIMESTAMP, sale_fields


async def test_a_sale_and_its_void_are_two_deliveries_in_order(outlet: Outlet) -> None:
    """Each with the record as it stood then, in the wire's form, and the key that follows from what it is about."""
    endpoint = await outlet.bind()
    (sale,) = await outlet.sell()
    await outlet.update(sale, note="due zuccheri")
    await outlet.void(sale)
    created, voided = await outlet.rows()
    assert [(row.sequence, row.route, row.operation) for row in (created, voided)] == [
        (1, "sales.forward", "post"),
        (3, "sales.forward", "post"),
    ]
    payloads = [json.loads(row[0]) for row in await outlet.fetch("SELECT payload FROM outbox ORDER BY sequence")]
    assert [payload["type"] for payload in payloads] == ["sales.created", "sales.voided"]
    assert payloads[0]["data"]["fields"]["note"] is None
    assert payloads[1]["data"]["fields"] | {"lines": []} == {
        **sale_fields(1), "shop": "centro", "status": "voided", "note": "due zuccheri", "customer_id": None,
        "flags": [], "forward_status": None, "forward_reference": None, "lines": [],
    }  # fmt: skip
    ((uid,),) = await outlet.fetch("SELECT uid FROM outbox WHERE sequence = 1")
    assert created.idempotency_key == idempotency_key(outlet.tenant_id, uid, "sales.forward", endpoint, "post")


async def test_a_sale_accepted_again_by_a_server_gone_back_sends_the_same_text(outlet: Outlet) -> None:
    """A provider that compares what comes under a key it knows finds no difference: the hour is the sale's own."""
    await outlet.bind()
    create = {"uid": outlet.new_id(), "op": "create", "collection": "sales", "record_id": outlet.new_id()}
    texts = []
    for _ in range(2):
        outlet.last_id = 0
        await outlet.push({**create, "fields": sale_fields()})
        texts += await outlet.fetch("SELECT idempotency_key, payload FROM outbox")
        await outlet.database.write(_forget_all)
        outlet.clock.ms += 3_600_000
    assert texts[0] == texts[1]
    assert json.loads(texts[0][1])["timestamp"] == TIMESTAMP


async def _forget_all(tx: Tx) -> None:
    for table in ("outbox", "sales", "mutations", "clients"):
        await tx.execute(Statement(f"DELETE FROM {table}"))  # noqa: S608  # names of our own


async def test_an_edit_that_no_route_asks_for_goes_nowhere(outlet: Outlet) -> None:
    """A note is nobody's business outside."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    await outlet.update(sale, note="senza zucchero")
    assert len(await outlet.rows()) == 1


async def test_every_bound_endpoint_gets_its_own_delivery(outlet: Outlet) -> None:
    """With a key of its own."""
    endpoints = {await outlet.bind(), await outlet.bind()}
    await outlet.sell()
    rows = await outlet.rows()
    assert {row.endpoint_id for row in rows} == endpoints
    assert len({row.idempotency_key for row in rows}) == 2


async def test_what_was_sold_before_the_binding_stays_home(outlet: Outlet) -> None:
    """A new binding holds from now on, also where its absence was remembered."""
    await outlet.sell()
    await outlet.bind()
    (sale,) = await outlet.sell()
    assert [row.record_id for row in await outlet.rows()] == [sale]


async def test_a_duplicate_push_makes_no_second_delivery(outlet: Outlet) -> None:
    """The stored verdict is the answer; nothing is accepted again."""
    await outlet.bind()
    create = {"uid": outlet.new_id(), "op": "create", "collection": "sales", "record_id": outlet.new_id()}
    for _ in range(2):
        outlet.last_id = 0
        await outlet.push({**create, "fields": sale_fields()})
    assert len(await outlet.rows()) == 1


@pytest.mark.parametrize(("cause", "echo", "expected"), [("http", False, 0), ("http", True, 1), ("pos", False, 1)])
async def test_a_provider_hears_no_echo_of_its_own_news(
    database_url: str,
    cause: str,
    echo: bool,  # noqa: FBT001
    expected: int,
) -> None:
    """Unless the route says so; another provider's news goes on."""
    async with open_outlet(database_url, echo=echo) as outlet:
        await outlet.bind()
        mutation = Mutation(
            mutation_id=0,
            uid=outlet.new_id(),
            op="create",
            collection="sales",
            record_id=outlet.new_id(),
            timestamp=TIMESTAMP,
            fields={**sale_fields(), "shop": "centro"},
        )
        await outlet.apply(mutation, "provider:somewhere", provider=cause)
        assert len(await outlet.rows()) == expected


async def test_rows_share_the_fate_of_their_changes(outlet: Outlet) -> None:
    """What the database refuses leaves neither a record nor a delivery; its neighbours have both."""
    await outlet.bind()
    first, second = await outlet.sell(2)
    taken = {"uid": outlet.new_id(), "op": "create", "collection": "sales", "record_id": first}
    other = {"uid": outlet.new_id(), "op": "create", "collection": "sales", "record_id": outlet.new_id()}
    statuses = await outlet.push({**taken, "fields": sale_fields(9)}, {**other, "fields": sale_fields(10)})
    assert statuses == ["rejected", "applied"]
    assert [row.record_id for row in await outlet.rows()] == [first, second, other["record_id"]]


async def test_bindings_are_read_once_a_revision(outlet: Outlet) -> None:
    """A push of a tenant whose bindings did not move asks the database nothing."""
    asked: list[str] = []

    class Counting:
        def __init__(self, tx: Tx) -> None:
            self._tx = tx

        async def fetch(self, statement: Statement, parameters: Any = ()) -> Any:
            asked.append(statement.sql("sqlite"))
            return await self._tx.fetch(statement, parameters)

    forwarder = Forwarder(outlet.routes)

    async def job(writing: Writing) -> None:
        counting = Writing(Counting(writing.tx), writing.now_ms, writing.now, look=False, tenants=writing.tenants)  # type: ignore[arg-type]
        await forwarder.collector(counting, writing.tenant(outlet.tenant_id), Cause("c"))

    counts = []
    for _ in range(3):
        await outlet.writer.submit(Job([outlet.tenant_id], job))
        counts.append(len(asked))
    await outlet.bind()
    await outlet.writer.submit(Job([outlet.tenant_id], job))
    assert [*counts, len(asked)] == [1, 1, 1, 2]


async def test_bindings_of_a_transaction_that_fails_are_not_remembered(outlet: Outlet) -> None:
    """Another change may come to the same revision."""
    forwarder = Forwarder(outlet.routes)

    async def doomed(writing: Writing) -> None:
        tenant = writing.tenant(outlet.tenant_id)
        tenant.revision += 1
        await forwarder.collector(writing, tenant, Cause("c"))
        raise DatabaseError("no")

    with pytest.raises(DatabaseError):
        await outlet.writer.submit(Job([outlet.tenant_id], doomed))
    await outlet.bind()
    found = []

    async def job(writing: Writing) -> None:
        collector = await forwarder.collector(writing, writing.tenant(outlet.tenant_id), Cause("c"))
        found.append(type(collector).__name__)

    await outlet.writer.submit(Job([outlet.tenant_id], job))
    assert found == ["_Collecting"]


async def test_a_newer_state_makes_a_waiting_older_one_needless(database_url: str) -> None:
    """Where the route says so, and only while the older one was never tried."""
    async with open_outlet(database_url, supersedes=True, when=lambda _before, _after: True) as outlet:
        await outlet.bind()
        (sale,) = await outlet.sell()
        await outlet.update(sale, note="uno")
        await outlet.update(sale, note="due")
        assert await outlet.states() == {"pending": 1, "superseded": 2}
        provider = Scripted()
        await outlet.relay(provider).drain()
        assert [json.loads(call.payload)["data"]["fields"]["note"] for call in provider.calls] == ["due"]


def test_two_routes_cannot_share_a_name() -> None:
    """Their keys would be the same."""
    route = Route("r", "sales", "http", "post", lambda _before, _after: True)
    with pytest.raises(TypeError):
        Forwarder([route, route])
