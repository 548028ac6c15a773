"""Mutations the server makes: the same merge and feed, once however often they are told."""

from collections.abc import Sequence
from typing import Any

import pytest

from server.ports import Cause
from server.storage.writer import Job, Writing
from sync.outcome import Outcome
from sync.protocol import Mutation
from tests.support.shop import TIMESTAMP, Shop, product_fields


def _product(shop: Shop, **fields: Any) -> Mutation:
    return Mutation(
        mutation_id=0,
        uid=shop.new_id(),
        op="create",
        collection="products",
        record_id=shop.new_id(),
        timestamp=TIMESTAMP,
        fields=product_fields(**fields),
    )


async def _apply(shop: Shop, *mutations: Mutation) -> Sequence[Outcome]:
    async def job(writing: Writing) -> Sequence[Outcome]:
        return await shop.applier.apply(writing, shop.tenant_id, "provider:x", mutations, Cause("test"))

    return await shop.writer.submit(Job([shop.tenant_id], job))


async def test_news_told_twice_applies_once(shop: Shop) -> None:
    """The uid says that it is the same."""
    told = _product(shop)
    await _apply(shop, told)
    (again,) = await _apply(shop, told)
    assert (again.status, again.record) == ("applied", None)
    assert len(await shop.device("owner").pull("products")) == 1


async def test_a_value_is_stored_in_its_one_form(shop: Shop) -> None:
    """Twelve and a half euros stay that, however the server's own code wrote them."""
    await _apply(shop, _product(shop, price="12.5"))
    (change,) = await shop.device("owner").pull("products")
    assert change["fields"]["price"] == "12.50"


async def test_a_value_the_wire_would_not_take_stores_nothing(shop: Shop) -> None:
    """It is a defect of ours, and is told as one."""
    with pytest.raises(ValueError, match="price"):
        await _apply(shop, _product(shop), _product(shop, price="1.001"))
    assert await shop.device("owner").pull("products") == []
