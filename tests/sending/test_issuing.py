"""Invoices are composed and numbered by the server, in the transaction that accepts the asking."""

import anyio
import pytest

from tests.sending.office import Office


async def test_an_invoice_asked_for_is_issued_under_the_next_number(office: Office) -> None:
    """Its document is the sale's, to the cent, with both parties named; its file goes to who sends."""
    await office.open()
    invoice = await office.get(await office.ask())
    assert (invoice["status"], invoice["number"], invoice["year"]) == ("issued", "1", 2025)
    assert invoice["file_name"] == "IT01234567890_R0001.xml"
    assert (invoice["total"], invoice["vat"][0]["net"], invoice["vat"][0]["vat"]) == ("1.20", "1.09", "0.11")
    assert invoice["lines"][0]["total"] == "1.09090909"
    assert invoice["buyer"]["vat_number"] == "IT09876543210"
    assert (await office.payloads())[0]["number"] == "1"
    await office.ask(issued_on="2024-12-31")
    await office.ask()
    numbers = [(one["year"], one["number"], one["file_name"][-9:]) for one in (await office.all()).values()]
    assert numbers == [(2025, "1", "R0001.xml"), (2024, "1", "R0002.xml"), (2025, "2", "R0003.xml")]


async def test_numbers_have_no_gap_whoever_asks_and_whatever_fails(office: Office) -> None:
    """Many at once, a third of which cannot be issued: those that can are numbered one after the other."""
    await office.open(series="B", first_number=100)
    sales = [await office.sale() for _ in range(9)]
    good, bad = await office.customer(), await office.customer(postcode="")
    async with anyio.create_task_group() as tasks:
        for place, sale_id in enumerate(sales):
            tasks.start_soon(office.ask, sale_id, bad if place % 3 == 1 else good)
    found = list((await office.all()).values())
    assert [one["problems"] for one in found if one["status"] == "incomplete"] == [["bad_postcode"]] * 3
    numbers = sorted(one["number"] for one in found if one["status"] == "issued")
    assert numbers == [f"{number}/B" for number in range(100, 106)]


async def test_what_was_incomplete_is_issued_when_it_is_asked_for_again(office: Office) -> None:
    """After the customer was mended; asking again without that says the same, and uses no number."""
    await office.open()
    customer_id = await office.customer(vat_number=None, city=None)
    invoice_id = await office.ask(customer_id=customer_id)
    assert (await office.get(invoice_id))["problems"] == ["no_city", "no_tax_id"]
    await office.change("issued_invoices", invoice_id, submission=2)
    assert (await office.get(invoice_id))["status"] == "incomplete"
    await office.change("customers", customer_id, vat_number="IT09876543210", city="Milano")
    await office.change("issued_invoices", invoice_id, submission=3)
    mended = await office.get(invoice_id)
    assert (mended["status"], mended["number"], mended["problems"]) == ("issued", "1", [])
    await office.change("issued_invoices", invoice_id, submission=4)
    assert await office.get(invoice_id) == {**mended, "submission": 4}
    assert len(await office.payloads()) == 1


@pytest.mark.parametrize(
    ("routes", "problem"), [([], "no_sender"), (["sdi", "sdicoop"], "two_senders"), (["seller"], "no_seller")]
)
async def test_without_one_sender_that_names_the_seller_nothing_is_issued(
    lite_office: Office, routes: list[str], problem: str
) -> None:
    """A file that went two ways would be two invoices."""
    for route in routes:
        if route == "seller":
            await lite_office.open(seller_name=None)
        else:
            await lite_office.open(route)
    invoice = await lite_office.get(await lite_office.ask())
    assert (invoice["status"], invoice["problems"], invoice["number"]) == ("incomplete", [problem], None)


async def test_a_sale_that_is_voided_takes_its_invoice_back(office: Office) -> None:
    """By a credit note under a number of its own, once; what was not issued yet is cancelled."""
    await office.open()
    sale_id, other_id = await office.sale(), await office.sale()
    invoice_id = await office.ask(sale_id)
    waiting_id = await office.ask(other_id, await office.customer(address=None))
    for voided in (sale_id, other_id):
        await office.change("sales", voided, status="voided")
    found = await office.all()
    assert found[waiting_id]["status"] == "cancelled"
    (note,) = [one for one in found.values() if one["document_type"] == "TD04"]
    assert (note["credits"], note["credits_number"], note["number"]) == (invoice_id, "1", "2")
    assert (note["total"], note["lines"]) == (found[invoice_id]["total"], found[invoice_id]["lines"])
    assert sorted(one["document_type"] for one in await office.payloads()) == ["TD01", "TD04"]


async def test_what_was_asked_before_a_restore_is_issued_only_when_somebody_looked(office: Office) -> None:
    """It may have been issued in the history that is lost; who looked raises the first number, and asks again."""
    await office.open(first_number=41)
    await office.outlet.begin_epoch()
    invoice_id = await office.ask()
    assert (await office.get(invoice_id))["problems"] == ["asked_before_restore"]
    await office.change("issued_invoices", invoice_id, submission=2)
    assert (await office.get(invoice_id))["number"] == "41"


async def test_a_sale_has_one_invoice_whoever_asks_for_another(office: Office) -> None:
    """Two devices that knew nothing of each other: the second is told, and no number is used."""
    await office.open()
    sale_id, customer_id = await office.sale(), await office.customer()
    first_id, second_id = await office.ask(sale_id, customer_id), await office.ask(sale_id, customer_id)
    await office.change("issued_invoices", second_id, submission=2)
    found = await office.all()
    assert [found[one]["problems"] for one in (first_id, second_id)] == [[], ["already_invoiced"]]
    assert (await office.get(await office.ask()))["number"] == "2"


async def test_a_day_to_come_is_none_to_issue_on(lite_office: Office) -> None:
    """SDI discards it; and a number of a year to come would be out of its turn. Days are those of Rome."""
    await lite_office.open()
    lite_office.outlet.clock.ms += 23 * 3_600_000 - lite_office.outlet.clock.ms % 86_400_000 + 60_000
    early = await lite_office.get(await lite_office.ask(issued_on="2025-11-26"))
    assert (early["problems"], early["number"]) == (["date_to_come"], None)
    assert (await lite_office.get(await lite_office.ask(issued_on="2025-11-25")))["number"] == "1"


async def test_a_credit_note_is_made_for_a_customer_who_is_gone(lite_office: Office) -> None:
    """It names whom its invoice named."""
    await lite_office.open()
    sale_id, customer_id = await lite_office.sale(), await lite_office.customer()
    invoice_id = await lite_office.ask(sale_id, customer_id)
    await lite_office.say("delete", "customers", customer_id, {}, "owner", base_version=1000)
    await lite_office.change("sales", sale_id, status="voided")
    found = await lite_office.all()
    (note,) = [one for one in found.values() if one["document_type"] == "TD04"]
    assert (note["status"], note["buyer"]) == ("issued", found[invoice_id]["buyer"])
