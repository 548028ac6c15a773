"""Closings: what a till says of its day is compared with what arrived, and what is missing has a number."""

import pytest

from server.reconcile.settle import FLAG
from server.reconcile.worker import Reconciler
from tests.reconcile.desk import Desk, closing, sold


async def test_a_day_that_adds_up_is_closed_at_once(desk: Desk) -> None:
    """And says what arrived, with VAT by rate worked out from the gross."""
    await desk.sell(1, 2, 3)
    await desk.close(1, 2, 3)
    one = await desk.only()
    assert (one["status"], one["arrived_total"]) == ("closed", "3.60")
    assert (one["expected_count"], one["arrived_count"]) == (3, 3)
    assert one["vat"] == [{"rate": "10.00", "gross": "3.60", "net": "3.27", "vat": "0.33"}]
    assert one["payments"] == [{"method": "cash", "total": "3.60"}]


async def test_missing_sales_are_named_by_number_and_it_closes_by_itself_when_they_come(desk: Desk) -> None:
    """Some of them first, then the rest; the till's queue was late."""
    await desk.sell(1, 2, 5)
    await desk.close(1, 2, 3, 4, 5, 6, 7)
    one = await desk.only()
    assert (one["status"], one["closed_at"]) == ("open", None)
    assert one["missing"] == [{"first": 3, "last": 4}, {"first": 6, "last": 7}]
    assert one["differences"] == [
        {"what": "total", "expected": "8.40", "arrived": "3.60"},
        {"what": "rate", "key": "10.00", "expected": "8.40", "arrived": "3.60"},
        {"what": "method", "key": "cash", "expected": "8.40", "arrived": "3.60"},
    ]
    await desk.sell(3, 4, 7)
    assert (await desk.only())["missing"] == [{"first": 6, "last": 6}]
    await desk.sell(6)
    one = await desk.only()
    assert (one["status"], one["missing"], one["differences"]) == ("closed", [], [])
    assert one["closed_at"] is not None


async def test_sums_that_differ_are_told_by_rate_and_by_method(desk: Desk) -> None:
    """Nothing is missing, and a sale was paid by card that the till closed as cash."""
    await desk.sell(1)
    await desk.sell(2, payment_method="card", gross={"22.00": "1.20"})
    await desk.close(1, 2)
    one = await desk.only()
    assert (one["status"], one["missing"]) == ("open", [])
    assert one["differences"] == [
        {"what": "rate", "key": "10.00", "expected": "2.40", "arrived": "1.20"},
        {"what": "rate", "key": "22.00", "expected": "0.00", "arrived": "1.20"},
        {"what": "method", "key": "card", "expected": "0.00", "arrived": "1.20"},
        {"what": "method", "key": "cash", "expected": "2.40", "arrived": "1.20"},
    ]


async def test_numbers_between_two_closings_belong_to_nobody(desk: Desk) -> None:
    """A day that was never closed: what arrived of it is told, what did not is missing."""
    await desk.sell(1, 2, 4, 6, 7)
    await desk.close(1, 2)
    await desk.close(6, 7, business_day="2025-11-26")
    first, second = await desk.found()
    assert (first["status"], second["status"]) == ("closed", "open")
    assert (second["missing"], second["unclosed"]) == (
        [{"first": 3, "last": 3}, {"first": 5, "last": 5}],
        [{"first": 4, "last": 4}],
    )
    await desk.close(3, 4, 5, business_day="2025-11-25")
    _, between, second = await desk.found()
    assert (between["status"], between["missing"]) == ("open", [{"first": 3, "last": 3}, {"first": 5, "last": 5}])
    assert (second["status"], second["missing"], second["unclosed"]) == ("closed", [], [])
    await desk.sell(3, 5, business_day="2025-11-25")
    assert [one["status"] for one in await desk.found()] == ["closed"] * 3


async def test_what_was_voided_before_the_closing_counts_nothing_and_its_void_must_come(desk: Desk) -> None:
    """The void may be the one that is late."""
    _, second = await desk.sell(1, 2)
    await desk.close(sales=[sold(1)], last_receipt=2, count=2, voided=[2])
    one = await desk.only()
    assert (one["status"], one["unvoided"], one["differences"]) == ("open", [2], [])
    await desk.void("sales", second)
    one = await desk.only()
    assert (one["status"], one["unvoided"]) == ("closed", [])


async def test_a_void_after_the_closing_does_not_open_the_day_again(desk: Desk) -> None:
    """The closing was right when it was made."""
    first, _ = await desk.sell(1, 2)
    await desk.close(1, 2)
    assert (await desk.only())["status"] == "closed"
    await desk.void("sales", first)
    assert (await desk.only())["status"] == "closed"


async def test_a_day_without_numbers_is_compared_by_its_sums(desk: Desk) -> None:
    """A point of sale of a vendor that numbers nothing."""
    await desk.sell(0, 0, terminal_id="SQ")
    await desk.sell(0, terminal_id="SQ", business_day="2025-11-25")
    await desk.close(sales=[sold(0)] * 3, terminal_id="SQ")
    one = await desk.only()
    assert (one["status"], one["arrived_count"], one["missing"]) == ("open", 2, [])
    await desk.sell(0, terminal_id="SQ")
    assert (await desk.only())["status"] == "closed"


async def test_a_closing_that_is_taken_back_says_nothing_any_more(desk: Desk) -> None:
    """It was wrong; the right one is sent anew."""
    await desk.sell(1)
    wrong = await desk.close(1, 2)
    assert (await desk.only())["status"] == "open"
    await desk.void("closures", wrong)
    assert (await desk.only())["status"] == "closed"
    await desk.close(1)
    assert [one["status"] for one in await desk.found()] == ["closed", "closed"]


async def test_a_number_used_twice_is_flagged_and_open_until_one_of_the_two_is_voided(desk: Desk) -> None:
    """Without any closing; on another day too, for a series does not begin again."""
    (first,) = await desk.sell(1)
    (again,) = await desk.sell(1, business_day="2025-11-25")
    one = await desk.only()
    assert (one["kind"], one["receipt_no"], one["status"], one["doubles"]) == ("receipt", 1, "open", [1])
    assert (await desk.flags(first), await desk.flags(again)) == ([FLAG], [FLAG])
    await desk.void("sales", again)
    assert (await desk.only())["status"] == "closed"
    assert await desk.flags(first) == [FLAG]


async def test_a_double_is_named_in_its_closing(desk: Desk) -> None:
    """The same sale by two ways: count and sums are too high by it."""
    await desk.sell(1, 1, 2)
    await desk.close(1, 2)
    closing_, receipt = await desk.found()
    assert (closing_["status"], closing_["doubles"], closing_["arrived_count"]) == ("open", [1], 3)
    assert receipt["status"] == "open"


async def test_people_put_aside_what_will_never_come_and_a_new_trouble_is_news(desk: Desk) -> None:
    """A till that fell into the sea; what the server writes, nobody else may."""
    await desk.sell(1)
    await desk.close(1, 2)
    await desk.found()
    ((_, record_id),) = [key for key in desk.owner.received if key[0] == "reconciliations"]
    known = {"base_version": 9, "epoch": desk.owner.epoch}
    aside = desk.owner.mutation("reconciliations", record_id, "update", fields={"accepted": True}, **known)
    forged = desk.owner.mutation("reconciliations", record_id, "update", fields={"status": "closed"}, **known)
    answer = await desk.owner.send(aside, forged)
    assert [v["status"] for v in answer["verdicts"]] == ["applied", "rejected"]
    one = await desk.only()
    assert (one["accepted"], one["status"]) == (True, "open")
    await desk.sell(2)
    await desk.found()
    await desk.sell(2)
    one, _ = await desk.found()
    assert (one["status"], one["accepted"]) == ("open", False)


async def test_two_processes_that_look_at_once_write_it_once(desk: Desk) -> None:
    """And a look without news writes nothing at all."""
    await desk.sell(1)
    await desk.close(1, 2)
    other = Reconciler(desk.shop.database, desk.shop.writer, desk.reconciler.settling)
    assert (await desk.reconciler.once(), await other.once()) == (1, 0)
    assert (await desk.reconciler.once(), await other.once()) == (0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_receipt": None},
        {"first_receipt": 2, "last_receipt": 1},
        {"first_receipt": 1, "last_receipt": 20_001},
        {"count": -1},
        {"total": "1.21"},
        {"payments": []},
    ],
)
async def test_a_closing_that_contradicts_itself_is_refused(lite: Desk, wrong: dict[str, object]) -> None:
    """It is kept with its reason, as any other refusal."""
    made = lite.till.mutation("closures", lite.shop.new_id(), fields=closing([sold(1)]) | wrong)
    answer = await lite.till.send(made)
    assert [(v["status"], v["code"]) for v in answer["verdicts"]] == [("rejected", "rule_broken")]


async def test_a_gap_is_seen_to_by_the_closing_that_stands_not_by_one_that_was_taken_back(desk: Desk) -> None:
    """Both begin with the same number, or the wrong one before: what comes late closes the right one all the same."""
    await desk.sell(1, 2, 6, 7)
    await desk.close(1, 2)
    for first in (5, 6, 6):
        wrong = await desk.close(*range(first, 8), business_day="2025-11-26")
        await desk.found()
        await desk.void("closures", wrong)
    await desk.close(6, 7, business_day="2025-11-26")
    assert [one["missing"] for one in await desk.found() if one["status"] == "open"] == [[{"first": 3, "last": 5}]]
    await desk.sell(3, 4, 5)
    assert {one["status"] for one in await desk.found()} == {"closed"}


async def test_a_late_sale_finds_its_closing_behind_a_shorter_one_that_begins_later(desk: Desk) -> None:
    """Which was a mistake, and is voided."""
    await desk.sell(1, 2)
    await desk.close(1, 2, 3, 4)
    await desk.void("closures", await desk.close(2, 3))
    await desk.found()
    await desk.sell(3)
    assert [one["missing"] for one in await desk.found() if one["status"] == "open"] == [[{"first": 4, "last": 4}]]
    await desk.sell(4)
    assert {one["status"] for one in await desk.found()} == {"closed"}
