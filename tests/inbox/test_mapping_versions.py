"""An event that came under an older mapping is read again by the present one, and what that makes of it is news."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from server.inbox.admin import Filter, replay
from server.providers.pos.mapping import SALE, Sale, to_ours
from server.providers.pos.payload import SaleV1
from server.providers.pos.provider import PosProvider
from server.providers.pos.standard import StandardScheme
from tests.inbox.mailroom import Mailroom, sale


def with_mapping(room: Mailroom, version: int) -> None:
    """From now on sales are read by a mapping of this version, which puts a note on them."""

    def noted(told: SaleV1, settings: Mapping[str, Any]) -> Sale:
        return to_ours(told, settings).model_copy(update={"note": f"read by {version}"})

    provider = PosProvider(None, room.shop.clock)  # type: ignore[arg-type]  # it asks nobody
    provider._schemes = {"standard": StandardScheme(replace(SALE, version=version, to_ours=noted))}
    room.sources = [provider, *(source for source in room.sources if source.name != "pos")]


async def read_again(room: Mailroom) -> list[Mapping[str, Any]]:
    """Replay everything; the sales as the owner's phone has them then."""
    assert await replay(room.shop.writer, room.shop.tenant_id, Filter(states=["done", "quarantined"])) == 1
    await room.processor().drain()
    return await room.records("sales")


async def test_a_newer_mapping_changes_what_an_older_one_made(room: Mailroom) -> None:
    """The record is the same one; what the newer mapping says of it stands."""
    await room.sell(await room.add_pos(), sale())
    await room.processor().drain()
    with_mapping(room, 2)
    (once,) = await read_again(room)
    assert once["note"] == "read by 2"
    assert (await room.event()).state == "done"


async def test_the_same_mapping_says_nothing_new(room: Mailroom) -> None:
    """However it was changed: who changes what it makes and not its version is not heard, once it was read."""
    await room.sell(await room.add_pos(), sale())
    await room.processor().drain()
    with_mapping(room, 1)
    (still,) = await read_again(room)
    assert still["note"] is None


async def test_what_an_older_mapping_could_not_make_is_made_by_a_newer_one(room: Mailroom) -> None:
    """An event in quarantine becomes the record it always was."""
    with_mapping(room, 1)
    told = sale(total="3.00", vat=[{"rate": "10", "gross": "2.40", "net": "2.18", "vat": "0.22"}])
    await room.sell(await room.add_pos(), told)
    await room.processor().drain()
    assert (await room.event()).state == "quarantined"

    def mended(told: SaleV1, settings: Mapping[str, Any]) -> Sale:
        return to_ours(told, settings).model_copy(update={"total": "2.40"})

    provider = PosProvider(None, room.shop.clock)  # type: ignore[arg-type]
    provider._schemes = {"standard": StandardScheme(replace(SALE, version=2, to_ours=mended))}
    room.sources = [provider]
    (made,) = await read_again(room)
    assert made["total"] == "2.40"
