"""The server's own sales and products, from the bytes of a request to the stock: what the shop would notice first."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.collections import registry
from sync.judge import Judgement
from sync.wire import decimal_text
from tests.kernel.making import client, mutation, record_id, uuid
from tests.kernel.memory import MemoryServer

SERVED = registry()
PRODUCTS = (record_id(101), record_id(102))


def sale(number: int, lines: list[tuple[int | None, int]], **more: Any) -> dict[str, Any]:
    """A sale of (product, thousandths) lines; what is no product is None."""
    written = [
        {"description": "x", "quantity": decimal_text(units, 3), "unit_price": "1", "total": "1.0", "vat_rate": "22"}
        | ({} if product is None else {"product_id": PRODUCTS[product]})
        for product, units in lines
    ]
    fields = {
        "shop": "bar",
        "terminal_id": "till-1",
        "receipt_no": number,
        "business_day": "2026-11-23",
        "sold_at": "2026-11-23T11:00:00.000Z",
        "lines": written,
        "vat": [{"rate": "22", "gross": "12.2", "net": "10", "vat": "2.2"}],
        "total": "12.20",
        "payment_method": "cash",
    }
    return dict(mutation("create", collection="sales", record=number, fields=fields | more))


def product(index: int) -> dict[str, Any]:
    """A product with ten pieces in stock."""
    fields = {"name": "Spritz", "price": "4", "vat_rate": "10"}
    made = mutation("create", collection="products", record=101 + index, fields=fields, increments={"stock": "10"})
    return dict(made)


def void(number: int) -> dict[str, Any]:
    """The void of a sale, by who knows it as it was made."""
    return dict(mutation("update", collection="sales", record=number, fields={"status": "voided"}, base_version=1))


def push(server: MemoryServer, number: int, queue: list[dict[str, Any]]) -> Judgement:
    """Number a queue anew, send it as bytes, and judge what arrives."""
    numbered = [made | {"mutation_id": n, "uid": uuid(number, n)} for n, made in enumerate(queue, 1)]
    body = json.dumps({"protocol": 1, "client_id": client(number), "mutations": numbered}).encode()
    return server.push(client(number), SERVED.parse_request(body)["mutations"])


def stock(server: MemoryServer, index: int) -> str:
    """A product's stock as it stands."""
    return str(server.records["products", PRODUCTS[index]].fields["stock"])


LINES = st.lists(st.tuples(st.sampled_from((None, 0, 1)), st.integers(-9_999, 9_999)), max_size=4)


@given(lines=LINES, arrival=st.permutations(["products", "sale", "void"]))
def test_a_sale_and_its_void_cancel(lines: list[tuple[int | None, int]], arrival: list[str]) -> None:
    """Several lines of one product, lines of none, negative quantities: after the void the stock is as before."""
    order = [what for what in arrival if what != "void"] if arrival.index("void") < arrival.index("sale") else arrival
    server = MemoryServer(SERVED)
    for number, what in enumerate(order, 1):
        queue = {"products": [product(0), product(1)], "sale": [sale(1, lines)], "void": [void(1)]}[what]
        verdicts = push(server, number, queue).verdicts
        assert [verdict["status"] for verdict in verdicts] == ["applied"] * len(queue)
    for index in (0, 1):
        sold = 0 if "void" in order else sum(units for which, units in lines if which == index)
        assert stock(server, index) == decimal_text(10_000 - sold, 3)
    assert not any(server.held.values())


def test_a_voided_sale_stays_voided() -> None:
    """Nobody reopens it, though his timestamp be later; the stock stays given back."""
    server = MemoryServer(SERVED)
    reopen = void(1) | {"fields": {"status": "completed"}, "timestamp": "2026-11-23T12:00:59.000Z"}
    push(server, 1, [product(0), sale(1, [(0, 2_000)]), void(1)])
    assert push(server, 2, [reopen]).verdicts[0]["code"] == "rule_broken"
    assert stock(server, 0) == "10.000"


def test_a_sale_is_written_as_the_wire_has_it() -> None:
    """Short decimals come out with all their places, also deep inside a line."""
    server = MemoryServer(SERVED)
    push(server, 1, [sale(1, [(None, 1_500)])])
    fields = server.records["sales", record_id(1)].fields
    assert fields["lines"][0] == {
        "description": "x",
        "quantity": "1.500",
        "unit_price": "1.00",
        "total": "1.00",
        "vat_rate": "22.00",
    }
    assert fields["vat"] == [{"rate": "22.00", "gross": "12.20", "net": "10.00", "vat": "2.20"}]


def test_a_sale_for_nobody_known_is_accepted_and_flagged() -> None:
    """A missing customer, a missing product: facts are not refused for that."""
    server = MemoryServer(SERVED)
    push(server, 1, [sale(1, [(0, 1_000)], customer_id=record_id(7))])
    assert server.records["sales", record_id(1)].fields["flags"] == ["unknown_customers", "unknown_products"]


def test_a_sale_whose_sums_disagree_is_refused() -> None:
    """The sums by rate make the total, or nothing is taken from stock."""
    server = MemoryServer(SERVED)
    judgement = push(server, 1, [product(0), sale(1, [(0, 1_000)], total="12.21")])
    assert judgement.verdicts[1]["code"] == "rule_broken"
    assert stock(server, 0) == "10.000"
