"""Planted faults: what somebody might get wrong in sync, each put in on purpose to see the simulation find it."""

from collections.abc import Sequence
from typing import Any

import sync.merge
import sync.merging
import sync.workspace
from server.engine.mutations import Memory
from server.engine.push import Pusher
from server.engine.waiting import WaitingRoom
from server.outbox.collect import _Collecting
from server.storage.record_sql import RecordSql
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.client.recovery import Recovery
from sync.client.store import Store
from sync.judge import Judge, Queued
from sync.merging import Merging
from sync.protocol import Registry, Unusable
from sync.workspace import Workspace
from tests.simulation.plant_history import PLANTS as HISTORY
from tests.simulation.planting import Plant, all_of, replaced

_FORGET = Statement("DELETE FROM mutations WHERE tenant_id = :tenant_id AND uid = :uid")
_SECOND_MS = 1000
_KILLED_OF_256 = 12


def _judged_again(batch: Any) -> Any:
    def planted(self: Judge, mutations: Any, queued: Queued, _known: Any) -> Any:
        first = mutations[0].mutation_id if isinstance(mutations[0], Unusable) else mutations[0]["mutation_id"]
        return batch(self, mutations, Queued(min(queued.last_mutation_id, first - 1)), {})

    return planted


def _remembered_again(remember: Any) -> Any:
    async def planted(self: Memory, tx: Any, tenant_id: str, client_id: str, rows: Any) -> None:
        await tx.many(_FORGET, [(tenant_id, row[0]) for row in rows])
        await remember(self, tx, tenant_id, client_id, rows)

    return planted


def _applied_again(batch: Any) -> Any:
    def planted(self: Judge, mutations: Any, queued: Queued, known: Any) -> Any:
        for mutation in mutations:
            if not isinstance(mutation, Unusable) and mutation["uid"] in known and mutation.get("increments"):
                self.one(mutation)
        return batch(self, mutations, queued, known)

    return planted


def _by_the_second(apply: Any) -> Any:
    async def planted(self: Pusher, batch: Any, writing: Writing) -> Any:
        writing.tenant(batch.principal.tenant_id).seq = writing.now_ms // _SECOND_MS
        return await apply(self, batch, writing)

    return planted


def _blind_to_authors(_seen: Any) -> Any:
    def planted(self: Merging, clock: Any) -> bool:
        return bool(self.same_epoch and clock[0] <= self.base)

    return planted


def _forgetting_losers(lose: Any) -> Any:
    def planted(self: Merging, *args: Any, mine: bool) -> None:
        if mine:
            lose(self, *args, mine=mine)

    return planted


def _newest_wins(_wins: Any) -> Any:
    return lambda _self, _clock: True


def _a_row_short(page: Any) -> Any:
    async def planted(self: RecordSql, *args: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await page(self, *args)
        return rows[:-1] if len(rows) > 1 else rows

    return planted


def _sent_is_done(outgoing: Any) -> Any:
    def planted(self: Store, limit: int, budget: int) -> Any:
        found = outgoing(self, limit, budget)
        with self._database.transaction() as meta:
            self._database.connection.execute(
                """UPDATE mutations SET state = 'waiting' WHERE state = 'pending' AND mutation_id <= (
                   SELECT min(mutation_id) + ? FROM mutations WHERE state = 'pending')""",
                (len(found.mutations) - 1,),
            )
            del meta
        return found

    return planted


def _void_keeps_stock(difference: Any) -> Any:
    def planted(effects: Any, before: Any, after: Any) -> Any:
        voided = before is not None and after.fields.get("status") == "voided"
        return {} if voided else difference(effects, before, after)

    return planted


def _held_forever(_join: Any) -> Any:
    return lambda _self, _key, _record, _collection: None


def _any_clock(_clamp: Any) -> Any:
    return lambda timestamp, _now: (timestamp, False)


def _voids_stay_inside(draft: Any) -> Any:
    def planted(self: Any, route: Any, endpoint_id: str, change: Any, payload: str) -> None:
        if len(self._rows) < 1:  # one row a transaction
            draft(self, route, endpoint_id, change, payload)

    return planted


def _nothing_again(_begin_epoch: Any) -> Any:
    def planted(self: Recovery, meta: Any, epoch: str, last_mutation_id: int) -> None:
        meta.epoch = epoch
        self._number(meta, last_mutation_id + 1)

    return planted


def _cursor_first(take: Any) -> Any:
    def planted(self: Store, sent: Any, answer: Any, sent_ms: int, received_ms: int) -> Any:
        taken = take(self, sent, {**answer, "changes": []}, sent_ms, received_ms)
        if self._runtime.randbytes(1)[0] < _KILLED_OF_256:
            return taken
        with self._database.transaction() as meta:
            self._base.write(meta, answer["changes"])
        return taken._replace(changes=len(answer["changes"]))

    return planted


def _prices_by_clock(_manual: Any) -> Any:
    def planted(self: Merging, _label: str, values: Any) -> None:
        for name, value in values.items():
            self._last_writer(name, value)

    return planted


def _removed_unseen(remove: Any) -> Any:
    return lambda record, name, tags, _seen: remove(record, name, tags, lambda _clock: True)


def _nobody_waited(_for_records: Any) -> Any:
    async def planted(_self: WaitingRoom, _tx: Any, _tenant_id: str, _keys: Any) -> list[Any]:
        return []

    return planted


def _taken_as_it_is(_lifted: Any) -> Any:
    return lambda _self, _name, raw, _schema: raw


PLANTS: Sequence[Plant] = (
    Plant(
        "dedupe-skipped",
        "what is sent again is judged again",
        all_of(replaced(Judge, "batch", _judged_again), replaced(Memory, "remember", _remembered_again)),
    ),
    Plant(
        "increment-twice",
        "a duplicate gets its first verdict, and its increments once more",
        replaced(Judge, "batch", _applied_again),
    ),
    Plant("cursor-by-clock", "the sequence is the wall clock in seconds", replaced(Pusher, "_apply", _by_the_second)),
    Plant("author-ignored", "only versions say what was seen", replaced(Merging, "seen", _blind_to_authors)),
    Plant("update-lost", "the newest write wins, whatever it saw", replaced(Merging, "wins", _newest_wins)),
    Plant("loser-forgotten", "a value that lost is not kept", replaced(Merging, "_lose", _forgetting_losers)),
    Plant("page-short", "a page ends one row early, its cursor does not", replaced(RecordSql, "page", _a_row_short)),
    Plant("sent-is-done", "a mutation leaves the queue when it is sent", replaced(Store, "outgoing", _sent_is_done)),
    Plant("void-keeps-stock", "a void gives nothing back", replaced(sync.workspace, "_difference", _void_keeps_stock)),
    Plant("held-forever", "held increments do not join their record", replaced(Workspace, "_join", _held_forever)),
    Plant("any-clock", "a clock far ahead is believed", replaced(sync.merge, "clamp", _any_clock)),
    Plant("voids-stay-inside", "one delivery a transaction", replaced(_Collecting, "_draft", _voids_stay_inside)),
    Plant("journal-kept-back", "a new epoch gets no journal", replaced(Recovery, "begin_epoch", _nothing_again)),
    Plant("cursor-first", "the cursor is stored before its page", replaced(Store, "take", _cursor_first)),
    Plant("prices-by-clock", "the later of two prices wins", replaced(Merging, "_manual", _prices_by_clock)),
    Plant("tag-removed", "a remove takes an add it did not see", replaced(sync.merging, "remove", _removed_unseen)),
    Plant("waits-forever", "a creation ends nobody's wait", replaced(WaitingRoom, "for_records", _nobody_waited)),
    Plant("not-lifted", "an old app's words are today's", replaced(Registry, "_lifted", _taken_as_it_is)),
    *HISTORY,
)
