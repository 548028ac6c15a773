"""Planted faults about history: rewinds, horizons, buckets, and what is told late."""

from collections.abc import Sequence
from typing import Any

from server.engine import history, pull, tidy
from server.engine.records import Records
from server.engine.waiting import WaitingRoom
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writer
from sync.client.base import Base
from tests.simulation.planting import Make, Plant, Planting, all_of, replaced

_EVERYTHING = 10**9
_UNMOVED = Statement("UPDATE tenants SET horizon = horizon WHERE tenant_id = :tenant_id AND horizon > :cutoff")


def _never(what: str) -> Make:
    def make(standing: Any) -> Any:
        def planted(cursor: Any, head: Any) -> Any:
            stands = standing(cursor, head)
            return "holds" if stands == what else stands

        return planted

    return make


def _standing(make: Make) -> Planting:
    return all_of(replaced(pull, "standing", make), replaced(history, "standing", make))


def _whatever_is_there(_locked: Any) -> Any:
    def planted(_self: Writer, tenant: Tenant, *_now_ms: int, **_lost: bool) -> Tenant:
        return tenant

    return planted


def _no_departures(store: Any) -> Any:
    async def planted(self: Records, tx: Any, tenant: Any, workspace: Any) -> None:
        workspace.moved.clear()
        await store(self, tx, tenant, workspace)

    return planted


def _silent(_told: Any) -> Any:
    async def planted(_self: WaitingRoom, _tx: Any, _tenant_id: str, _client_id: str, _after: int) -> list[Any]:
        return []

    return planted


def _young_ones_too(collect: Any) -> Any:
    async def planted(self: tidy.Tidier, reach: tidy.Reach) -> Any:
        self._kinds = tuple(kind for kind in self._kinds if kind.name.endswith("_tombstones"))
        return await collect(self, reach._replace(cutoff=_EVERYTHING))

    return planted


PLANTS: Sequence[Plant] = (
    Plant(
        "rewind-unnoticed",
        "a cursor of this epoch is always good",
        all_of(_standing(_never("rewound")), replaced(Writer, "_locked", _whatever_is_there)),
    ),
    Plant("horizon-ignored", "who slept through a deletion goes on", _standing(_never("behind"))),
    Plant(
        "tombstone-early",
        "young tombstones are collected, too, and the horizon stays",
        all_of(replaced(tidy, "_RAISE", lambda _raise: _UNMOVED), replaced(tidy.Tidier, "collect", _young_ones_too)),
    ),
    Plant("departure-lost", "who leaves a bucket leaves no tombstone", replaced(Records, "store", _no_departures)),
    Plant(
        "bucket-kept", "a lost bucket's records stay", replaced(Base, "drop", lambda _drop: lambda _self, _lost: None)
    ),
    Plant("late-untold", "the end of a wait is told to nobody", replaced(WaitingRoom, "told", _silent)),
)
