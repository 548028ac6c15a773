"""People: what somebody at a till, a counter or in the office does with what is on the screen, or on a note beside it.

Each act is a function of a world and a device that queues at most one mutation and says what it was.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from sync.client.draft import Draft, Number
from tests.simulation.acting import SHOPS, WORDS, edit, money, part, some, word, write
from tests.simulation.device import Device
from tests.simulation.models import GROWN

if TYPE_CHECKING:
    from tests.simulation.world import World

Act = Callable[["World", Device], str]


def act(world: "World", device: Device) -> str:
    """Something this device's people do."""
    acts = ACTS[device.principal.role]
    weights = [weight * world.day.tastes[one.__name__] for one, weight in acts.items()]
    return world.random.choices(list(acts), weights)[0](world, device)


def tastes(random: Random) -> dict[str, float]:
    """What people do much of on one day, and hardly ever on another: so that seeds go deep in different places."""
    return {one.__name__: random.choice((0.05, 1.0, 1.0, 5.0)) for acts in ACTS.values() for one in acts}


def sell(world: "World", device: Device) -> str:
    """Ring up a sale of a few products."""
    lines, total = [], 0
    for _ in range(world.random.randint(1, 3)):
        quantity, cents = world.random.randint(1, 4), world.random.randint(50, 900)
        line = {
            "description": "articolo",
            "quantity": f"{quantity}.000",
            "unit_price": money(cents),
            "total": money(cents * quantity),
            "vat_rate": "10.00",
        }
        product = some(world, device, "products")
        if product is not None:
            line["product_id"] = product
        lines.append(line)
        total += cents * quantity
    net = total * 100 // 110
    vat = [{"rate": "10.00", "gross": money(total), "net": money(net), "vat": money(total - net)}]
    fields: dict[str, Any] = {
        "shop": device.principal.shop,
        "terminal_id": device.name,
        "business_day": "2025-11-24",
        "sold_at": "2025-11-24T10:00:00.000Z",
        "lines": lines,
        "vat": vat,
        "total": money(total),
        "payment_method": "cash",
    }
    customer = some(world, device, "customers") if world.random.random() < 0.3 else None
    if customer is not None:
        fields["customer_id"] = customer
    actor = world.random.choice(device.actors) if device.actors else None
    draft = Draft("sales", "create", fields=fields, number=Number("receipt_no", device.name), actor=actor)
    made = device.store.write(draft)[0]
    world.ledger.made[made.uid] = device.name
    world.known["sales"].append(made.record_id)
    return f"sells {made.record_id[-6:]} no. {made.number} for {money(total)} ({actor})"


def void(world: "World", device: Device) -> str:
    """Void a sale."""
    return edit(world, device, "sales", {"status": "voided"})


def note_sale(world: "World", device: Device) -> str:
    """Write something on a sale."""
    return edit(world, device, "sales", {"note": word(world)})


def add_product(world: "World", device: Device) -> str:
    """A new product, with what is on the shelf."""
    fields = {"name": word(world), "price": money(world.random.randint(50, 900)), "vat_rate": "10.00"}
    stock = {"stock": f"{world.random.randint(0, 40)}.000"}
    return write(world, device, Draft("products", "create", fields=fields, increments=stock))


def edit_product(world: "World", device: Device) -> str:
    """Change name or category, or both."""
    return edit(world, device, "products", part(world, {"name": word(world), "category": word(world)}))


def price_product(world: "World", device: Device) -> str:
    """Another price, now and then with another rate of VAT."""
    price = {"price": money(world.random.randint(1, 9) * 100)}
    return edit(world, device, "products", price | world.random.choice(({}, {"vat_rate": "22.00"})))


def tag_product(world: "World", device: Device) -> str:
    """Put tags on a product, take some off, or both."""
    record_id = some(world, device, "products")
    if record_id is None:
        return "nothing"
    adds, removes = (world.random.sample(WORDS[:3], world.random.randint(0, 2)) for _ in range(2))
    draft = Draft("products", "update", record_id, adds={"tags": adds}, removes={"tags": removes})
    return write(world, device, draft)


def decide(world: "World", device: Device) -> str:
    """Say what is right, where two said different things."""
    conflicts = [one for one in device.store.records("conflicts").values() if one.fields["status"] == "open"]
    if not conflicts:
        return price_product(world, device)
    conflict = world.random.choice(conflicts)
    said = world.random.choice(({"decision": "mine"}, {"decision": "theirs"}))
    return write(world, device, Draft("conflicts", "update", conflict.record_id, said))


def count_stock(world: "World", device: Device) -> str:
    """Goods come, or are thrown away; now and then a mistyped number that leaves the range."""
    delta = f"{world.random.randint(-5, 20)}.{world.random.choice(('000', '500', '125'))}"
    if world.random.random() < 0.03:
        delta = "9999999999.000"
    return edit(world, device, "products", {}, {"stock": delta})


def add_customer(world: "World", device: Device) -> str:
    """A new customer."""
    return write(world, device, Draft("customers", "create", fields={"name": word(world)}))


def edit_customer(world: "World", device: Device) -> str:
    """Change some of a customer."""
    codes = {"vat_number": f"IT{world.random.randrange(9)}", "sdi_code": f"S{world.random.randrange(9)}"}
    return edit(world, device, "customers", part(world, {"name": word(world), "note": word(world), **codes}))


def _title(world: "World", device: Device) -> str:
    return word(world) + "!" * (device.schema < GROWN)


def add_errand(world: "World", device: Device) -> str:
    """Something to be done."""
    fields = {"shop": world.random.choice(sorted(device.principal.shops)), "title": _title(world, device)}
    return write(world, device, Draft("errands", "create", fields=fields, increments={"minutes": "1.000"}))


def edit_errand(world: "World", device: Device) -> str:
    """Change an errand, or say how long it took."""
    if world.random.random() < 0.3:
        return edit(world, device, "errands", {}, {"minutes": f"{world.random.randint(1, 9)}.000"})
    title, budget = _title(world, device), money(world.random.randint(1, 9))
    values = {"title": title, "done": world.random.random() < 0.5, "budget": budget}
    return edit(world, device, "errands", part(world, values))


def move_errand(world: "World", device: Device) -> str:
    """Hand an errand to another shop."""
    return edit(world, device, "errands", {"shop": world.random.choice(SHOPS)})


def delete(world: "World", device: Device) -> str:
    """Delete something."""
    collection = world.random.choice(("products", "customers", "errands"))
    record_id = some(world, device, collection)
    return "nothing" if record_id is None else write(world, device, Draft(collection, "delete", record_id))


def restore(world: "World", device: Device) -> str:
    """Bring something back."""
    collection = world.random.choice(("products", "customers", "errands"))
    record_id = some(world, device, collection, deleted=True)
    return "nothing" if record_id is None else write(world, device, Draft(collection, "restore", record_id))


def blunder(world: "World", device: Device) -> str:
    """What breaks a rule: it is refused and kept, and the queue goes on."""
    fields: Mapping[str, Any] = world.random.choice(({"price": "?"}, {"stock": "1.000"}, {"unheard": 1}))
    return edit(world, device, "products", fields)


_STAFF: Mapping[Act, int] = {
    sell: 2,
    void: 2,
    note_sale: 1,
    add_product: 1,
    edit_product: 4,
    price_product: 4,
    tag_product: 4,
    decide: 2,
    count_stock: 4,
    add_customer: 1,
    edit_customer: 2,
    add_errand: 2,
    edit_errand: 3,
    move_errand: 2,
    delete: 3,
    restore: 2,
    blunder: 1,
}
ACTS: Mapping[str, Mapping[Act, int]] = {
    "owner": _STAFF,
    "clerk": _STAFF,
    "terminal": {sell: 10, void: 3, note_sale: 2, add_errand: 2, edit_errand: 2, blunder: 1},
}
