"""Fields to write: what a product and a sale hold. Nothing heavy is imported: a process to be killed starts fast."""

from typing import Any

COLLECTIONS = ("sales", "products", "customers")
SHOP = "centro"


def product(name: str = "Caffè", **more: Any) -> dict[str, Any]:
    """A product's fields."""
    return {"name": name, "price": "1.20", "vat_rate": "10.00", **more}


def sale(total: str = "12.20", **more: Any) -> dict[str, Any]:
    """A sale's fields, all but its number."""
    return {
        "shop": SHOP,
        "terminal_id": "cassa-1",
        "business_day": "2026-11-23",
        "sold_at": "2026-11-23T09:00:00.000Z",
        "lines": [
            {"description": "Menù", "quantity": "1.000", "unit_price": total, "total": total, "vat_rate": "22.00"}
        ],
        "vat": [{"rate": "22.00", "gross": total, "net": "10.00", "vat": "2.20"}],
        "total": total,
        "payment_method": "cash",
        **more,
    }
