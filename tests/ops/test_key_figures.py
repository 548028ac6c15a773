"""What `/metrics` tells of API keys: those that end, and no other."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.auth.keys import DAY_MS, Terms
from server.ops.exposition import expose
from server.ops.figures import Watch
from tests.auth.desk import NOBODY, Desk, desk_of
from tests.support.shop import open_shop


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """On a fresh database, once on each kind."""
    async with open_shop(database_url) as opened:
        yield desk_of(opened)


async def told(desk: Desk) -> set[tuple[str, str]]:
    """Key and what of it ends."""
    text = expose(await Watch(desk.shop.database, desk.shop.clock, Path()).figures(), 1000).decode()
    return set(re.findall(r'rientro_key_ends_timestamp_seconds{key="(.*)",what="(\w+)"}', text))


async def test_a_key_is_told_before_it_ends(desk: Desk) -> None:
    """It expires, or is due; not one that is far from it, gone, replaced and left alone, or long past."""
    shop, made = desk.shop, {}
    till = await shop.admin.add_device(shop.tenant_id, "Cassa 1", "terminal", "centro")
    for name, terms in {
        "good": Terms(expires_days=80, rotate_days=80),
        "due": Terms(rotate_days=30),
        "ends": Terms(expires_days=40),
        "past": Terms(expires_days=5),
        "used": Terms(),
        "left": Terms(),
        "gone": Terms(expires_days=30),
    }.items():
        made[name] = await desk.keys.issue(shop.tenant_id, till.device_id, name, terms, NOBODY)
    shop.clock.ms += 20 * DAY_MS
    for name in ("used", "left"):
        await desk.keys.rotate(shop.tenant_id, made[name].key_id, 7 * DAY_MS, NOBODY)
    await desk.keys.revoke(shop.tenant_id, made["gone"].key_id, NOBODY)
    shop.clock.ms += 1000
    await desk.is_let_in(made["used"].token)
    names = {key.key_id: name for name, key in made.items()}
    assert {(names[key], what) for key, what in await told(desk)} == {
        ("due", "rotate"), ("ends", "expires"), ("used", "expires"),
    }  # fmt: skip
