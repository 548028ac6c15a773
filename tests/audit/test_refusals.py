"""Refusals: counted all of them, noted once a minute for each reason and origin, so that nobody can fill the audit."""

from server import meters
from server.audit.listing import Asked, Audit, Line
from server.audit.refusals import MOST, Refusals
from tests.support.shop import Shop


async def noted(shop: Shop) -> list[Line]:
    """What is noted of refusals."""
    return list((await Audit(shop.database).page(shop.tenant_id, Asked(action="access.refuse"), limit=1000)).rows)


def counted(reason: str) -> float:
    """What the metrics say."""
    return meters.REGISTRY.get_sample_value("rientro_refusals_total", {"reason": reason}) or 0


async def test_many_of_a_kind_are_one_entry(shop: Shop) -> None:
    """With how often; the next minute has its own."""
    refusals, before = Refusals(shop.writer), counted("unauthenticated")
    for _ in range(1000):
        refusals.refuse("unauthenticated", shop.tenant_id, "192.0.2.0/24")
    refusals.refuse("unauthenticated", shop.tenant_id, "198.51.100.0/24")
    await refusals.flush()
    refusals.refuse("unauthenticated", shop.tenant_id, "192.0.2.0/24")
    await refusals.flush()
    await refusals.flush()
    seen = sorted((line.origin, line.times, line.outcome, line.reason) for line in await noted(shop))
    word = ("refused", "unauthenticated")
    assert seen == [("192.0.2.0/24", 1, *word), ("192.0.2.0/24", 1000, *word), ("198.51.100.0/24", 1, *word)]
    assert counted("unauthenticated") - before == 1002


async def test_more_origins_than_anybody_has_are_not_told_apart(shop: Shop) -> None:
    """Their number is kept, and the table is not theirs to fill."""
    refusals = Refusals(shop.writer)
    for number in range(2 * MOST):
        refusals.refuse("unauthenticated", shop.tenant_id, f"2001:db8:{number:x}::/48")
    await refusals.flush()
    lines = await noted(shop)
    assert len(lines) == MOST + 1
    assert sum(line.times for line in lines) == 2 * MOST
    assert [line.times for line in lines if line.origin is None] == [MOST]


async def test_who_names_no_merchant_of_ours_is_counted_only(shop: Shop) -> None:
    """There is nobody to tell it to."""
    refusals = Refusals(shop.writer)
    refusals.refuse("unauthenticated")
    refusals.refuse("unauthenticated", shop.new_id())
    await refusals.flush()
    assert await noted(shop) == []


async def test_what_was_gathered_is_noted_at_the_end(shop: Shop) -> None:
    """A server that stops leaves nothing untold."""
    refusals = Refusals(shop.writer)
    async with refusals.running():
        refusals.refuse("forbidden", shop.tenant_id)
    assert [(line.reason, line.times) for line in await noted(shop)] == [("forbidden", 1)]
