"""Against stripe-stateful-mock, which honours idempotency keys as Stripe does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.ports import Answer
from server.providers.stripe.api import API_VERSION
from tests.stripe.house import House, open_house
from tests.support.processes import ServerProcess


@pytest.fixture
async def at_mock(sqlite_url: str, stateful_mock: ServerProcess) -> AsyncIterator[House]:
    """A shop with an account there."""
    async with open_house(sqlite_url, stateful_mock) as opened:
        yield opened


async def create(house: House, record_id: str, **fields: Any) -> Answer:
    """A customer, made under the record's key."""
    told = {"timestamp": "2026-11-24T10:00:00.000Z", "data": {"fields": {"name": "Ada", **fields}}}
    call = house.call("create_customer", json.dumps(told), record_id)
    return await house.provider.operations()["create_customer"].send(call)


async def test_the_same_call_twice_is_one_customer(at_mock: House) -> None:
    """The second is answered as the first was."""
    record_id = at_mock.outlet.new_id()
    first, second = await create(at_mock, record_id), await create(at_mock, record_id)
    assert first.reference == second.reference
    assert (first.status, second.status) == (200, 200)
    found = (await at_mock.ask("GET", "/v1/customers", limit=100))["data"]
    assert len([one for one in found if one["metadata"].get("rientro_record") == record_id]) == 1


async def test_the_same_key_with_other_parameters_is_refused_by_a_code_of_its_own(at_mock: House) -> None:
    """It would be a mistake of ours: permanent, and told from other bad requests."""
    record_id = at_mock.outlet.new_id()
    await create(at_mock, record_id)
    answer = await create(at_mock, record_id, email="ada@example.org")
    assert (answer.status, answer.code) == (400, "idempotency_key_reused")


async def test_what_stripe_refuses_has_its_own_code_and_name_for_the_request(at_mock: House) -> None:
    """A charge of nothing known."""
    call = at_mock.call("take_back", "{}", at_mock.outlet.new_id(), reference="pi_unknown")
    answer = await at_mock.provider.operations()["take_back"].send(call)
    assert answer.status == 404


async def test_a_sale_goes_out_under_one_key_through_the_outbox(at_mock: House) -> None:
    """A customer, made by the relay; its name at Stripe is kept."""
    customer_id = await at_mock.add_customer()
    (row,) = await at_mock.outlet.rows()
    assert (row.state, (row.reference or "")[:4]) == ("delivered", "cus_")
    names = await at_mock.outlet.fetch("SELECT key FROM identities WHERE record_id = :record_id", customer_id)
    assert names == [(f"{at_mock.endpoint_id}:{row.reference}",)]


def test_the_version_we_speak_is_the_sdks() -> None:
    """Who moves the SDK moves it, and reads what changed."""
    from stripe import api_version  # noqa: PLC0415  the SDK is imported where it is needed

    assert api_version == API_VERSION
