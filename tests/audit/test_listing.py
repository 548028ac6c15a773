"""Reading the audit: newest first in pages, oldest first to the end, by what was asked; gone after a year."""

from server.audit import Actor, Entry, add_entry
from server.audit.listing import Asked, Audit, Line
from server.engine.tidy import Tidier
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.support.shop import START_MS, Shop

DAY_MS = 24 * 3_600_000
TILL, PHONE = Actor("device", "till"), Actor("device", "phone", "192.0.2.0/24")


async def noted(shop: Shop, *entries: Entry, at_ms: int = START_MS) -> None:
    """Entries, one after the other."""

    async def job(writing: Writing) -> None:
        for entry in entries:
            await add_entry(writing.tx, shop.tenant_id, entry, at_ms)

    await shop.writer.submit(Job([shop.tenant_id], job))


def words(lines: list[Line]) -> list[str | None]:
    """The reasons, by which the tests tell entries apart."""
    return [line.reason for line in lines if line.action != "tenant.add"]


async def test_pages_come_newest_first_and_meet(shop: Shop) -> None:
    """Each goes on where the one before ended, also among those of one millisecond."""
    await noted(shop, *(Entry("key.add", TILL, reason=str(number)) for number in range(7)))
    audit, after, seen = Audit(shop.database), None, list[Line]()
    for _ in range(4):
        page = await audit.page(shop.tenant_id, Asked(), after, 2)
        seen, after = [*seen, *page.rows], page.next
    assert (words(seen), after) == (["6", "5", "4", "3", "2", "1", "0"], None)


async def test_what_is_asked_for_comes_and_nothing_else(shop: Shop) -> None:
    """By action, by actor, by both, and since an instant; another merchant's never."""
    await noted(shop, Entry("key.add", TILL, reason="a"), at_ms=START_MS - DAY_MS)
    await noted(shop, Entry("key.add", PHONE, reason="b"), Entry("key.revoke", PHONE, reason="c"))
    other = await shop.admin.add_tenant("Un altro")
    audit, since = Audit(shop.database), encode_instant(START_MS)
    for asked, expected in (
        (Asked(action="key.add"), ["b", "a"]),
        (Asked(actor="phone"), ["c", "b"]),
        (Asked(action="key.add", actor="phone"), ["b"]),
        (Asked(since=since), ["c", "b"]),
        (Asked(since=since, action="key.add", actor="till"), []),
    ):
        page = await audit.page(shop.tenant_id, asked)
        assert (asked, words(list(page.rows))) == (asked, expected)
    assert [line.action for line in (await audit.page(other, Asked())).rows] == ["tenant.add"]


async def test_an_export_goes_from_the_oldest_to_the_newest(shop: Shop) -> None:
    """A batch at a time, whatever its size."""
    await noted(shop, *(Entry("key.add", TILL, reason=str(number)) for number in range(5)))
    audit = Audit(shop.database)
    lines = [line async for line in audit.export(shop.tenant_id, Asked(action="key.add"), batch=2)]
    assert words(lines) == ["0", "1", "2", "3", "4"]
    assert await audit.count(shop.tenant_id, Asked()) == 6


async def test_tidying_takes_what_is_older_than_a_year_and_nothing_younger(shop: Shop) -> None:
    """However short the retention is."""
    for days in (400, 367, 360, 1):
        await noted(shop, Entry("key.add", TILL, reason=str(days)), at_ms=START_MS - days * DAY_MS)
    tidier = Tidier(shop.database, shop.writer, shop.records, shop.clock, DAY_MS)
    assert (await tidier.tidy(shop.tenant_id))["audit"] == 2
    page = await Audit(shop.database).page(shop.tenant_id, Asked())
    assert words(list(page.rows)) == ["1", "360"]
