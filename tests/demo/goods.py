"""What the demonstration's shop sells, and to whom: the same for the same seed.

Amounts are integer cents and quantities thousandths here, decimal text on the wire; nothing is ever a float.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

CUSTOMER = "Beatrice Canarini"
EMAIL = "beatrice.canarini@posta.example"
"""A customer who must be found in no log."""

RENAMED = ("Caffè", "Caffè lungo")
NOTE = "paga lunedì"

_ROME = ZoneInfo("Europe/Rome")


class Product(NamedTuple):
    """A product: price in cents, VAT rate in hundredths of a percent; `weighed` is sold by the kilo."""

    name: str
    price: int
    rate: int
    stock: int
    weighed: bool = False


PRODUCTS = (
    Product("Caffè", 120, 1000, 2000),
    Product("Cornetto", 150, 1000, 1500),
    Product("Panino al prosciutto", 450, 1000, 900),
    Product("Acqua 0,5 l", 100, 2200, 1800),
    Product("Birra media", 530, 2200, 700),
    Product("Pane", 385, 400, 600, weighed=True),
    Product("Quotidiano", 170, 400, 300),
)


def product_fields(product: Product) -> dict[str, str]:
    """A product as the phone makes it; its stock is counted, not set."""
    return {"name": product.name, "price": money(product.price), "vat_rate": money(product.rate)}


def customer_fields() -> dict[str, str]:
    """A customer as the phone makes it."""
    return {"name": CUSTOMER, "email": EMAIL}


def sale_fields(seed: int, terminal: str, number: int, products: Mapping[str, str]) -> dict[str, Any]:
    """A till's sale, all but its receipt number; `products` gives ids by name."""
    dice = random.Random(f"{seed} {terminal} {number}")
    lines = list(_lines(dice, products))
    now = datetime.now(UTC)
    return {
        "terminal_id": terminal,
        "business_day": now.astimezone(_ROME).date().isoformat(),
        "sold_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "lines": lines,
        "vat": list(_summary(lines)),
        "total": money(sum(cents(line["total"]) for line in lines)),
        "payment_method": dice.choice(("cash", "card")),
    }


def ids_by_first_name(names: Mapping[str, str]) -> dict[str, str]:
    """Products' ids by the name they were made with; `names` are the present ones by id."""
    former = {RENAMED[1]: RENAMED[0]}
    return {former.get(name, name): record_id for record_id, name in names.items()}


def money(amount: int) -> str:
    """Cents, or hundredths of a percent, as the wire writes them."""
    return f"{amount // 100}.{amount % 100:02}"


def cents(text: str) -> int:
    """The wire's amount in cents."""
    return int(text.replace(".", ""))


def _lines(dice: random.Random, products: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for product in dice.sample(PRODUCTS, dice.randint(1, 4)):
        quantity = dice.randrange(150, 2000, 5) if product.weighed else dice.randint(1, 3) * 1000
        yield {
            "product_id": products[product.name],
            "description": product.name,
            "quantity": f"{quantity // 1000}.{quantity % 1000:03}",
            "unit_price": money(product.price),
            "total": money(_half_up(product.price * quantity, 1000)),
            "vat_rate": money(product.rate),
        }


def _summary(lines: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[line["vat_rate"]] += cents(line["total"])
    for rate, gross in sorted(sums.items()):
        net = _half_up(gross * 10_000, 10_000 + cents(rate))
        yield {"rate": rate, "gross": money(gross), "net": money(net), "vat": money(gross - net)}


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
