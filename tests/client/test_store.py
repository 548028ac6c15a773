"""The store: what was written is there, is shown at once, and is nothing a server could not take."""

import json
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sync.client import Draft, Number, Store
from sync.client.answer import Change
from sync.client.errors import (
    InvalidMutationError,
    MutationTooLargeError,
    StoreError,
    StoreTooNewError,
    UnknownRejectionError,
)
from sync.protocol import Unusable
from tests.client.memory_server import REGISTRY
from tests.client.samples import product, sale
from tests.client.support import World, judged


def _tombstone(record_id: str) -> Change:
    return {
        "collection": "products",
        "record_id": record_id,
        "version": 2,
        "audience": "tenant",
        "deleted": True,
        "fields": {},
    }


FIRST_RELEASE = """
CREATE TABLE client (
    one INTEGER PRIMARY KEY CHECK (one = 1), client_id TEXT NOT NULL, last_issued INTEGER NOT NULL,
    epoch TEXT, base_epoch TEXT, cursor TEXT, shown_side INTEGER NOT NULL, building_side INTEGER,
    in_round INTEGER NOT NULL, round_head TEXT, head TEXT, offset_ms INTEGER NOT NULL,
    last_stamp_ms INTEGER NOT NULL, safe_mutation_id INTEGER NOT NULL);
CREATE TABLE base (
    side INTEGER NOT NULL, collection TEXT NOT NULL, record_id TEXT NOT NULL, version INTEGER NOT NULL,
    deleted INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (side, collection, record_id));
CREATE TABLE mutations (
    place INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL,
    mutation_id INTEGER NOT NULL, collection TEXT NOT NULL, record_id TEXT NOT NULL, body TEXT NOT NULL,
    made_at TEXT NOT NULL, shown INTEGER NOT NULL, version INTEGER, verdict TEXT, settled_at TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'waiting', 'settled', 'rejected', 'resolved')));
CREATE INDEX mutations_pending ON mutations (mutation_id) WHERE state = 'pending';
CREATE INDEX mutations_taken ON mutations (client_id, mutation_id) WHERE state IN ('settled', 'waiting');
CREATE INDEX mutations_shown ON mutations (collection, place) WHERE shown = 1;
CREATE INDEX mutations_returning ON mutations (collection, record_id) WHERE shown = 1 AND state = 'settled';
CREATE INDEX mutations_waiting ON mutations (place) WHERE state = 'waiting';
CREATE INDEX mutations_rejected ON mutations (place) WHERE state = 'rejected';
CREATE INDEX mutations_record ON mutations (collection, record_id, place);
CREATE TABLE series (name TEXT PRIMARY KEY, last INTEGER NOT NULL);
INSERT INTO client VALUES (1, 'c', 2, 'e', 'e', 'a cursor', 1, NULL, 0, NULL, NULL, 0, 0, 0);
INSERT INTO base VALUES (1, 'products', 'p', 3, 0, '{"name": "old"}'), (0, 'products', 'left over', 1, 0, '{}');
INSERT INTO mutations VALUES (1, 'u', 'c', 1, 'sales', 's', '{"op": "create"}', '', 1, NULL, NULL, NULL, 'pending'),
    (2, 'w', 'c', 2, 'sales', 's', '{"op": "update"}', '', 1, NULL, '{}', '2026-11-23T09:00:00.000Z', 'waiting');
PRAGMA user_version = 1;
"""
"""A database as the first release made it."""

LOOP: list[Any] = []
LOOP.append(LOOP)


async def test_a_sale_is_on_the_screen_and_in_the_queue_at_once(world: World) -> None:
    """No network is asked."""
    till = world.till("a", role="terminal")
    made = till.client.sell(sale(note="no ice"))
    shown = till.client.records("sales")[made.record_id]
    assert (shown.fields["receipt_no"], shown.fields["note"], shown.unsent) == (1, "no ice", 1)
    assert till.client.status.pending == 1
    assert till.line.sent == []


async def test_receipts_count_on_in_each_series(world: World) -> None:
    """Each till has its own; a new database can be told where the last one stopped, and never goes back."""
    till = world.till("a")
    numbers = [till.client.sell(sale(terminal_id=name)).number for name in ("c1", "c1", "c2", "c1")]
    till.client.continue_series("c2", 41)
    till.client.continue_series("c1", 1)
    numbers += [till.client.sell(sale(terminal_id=name)).number for name in ("c2", "c1")]
    assert numbers == [1, 2, 1, 3, 42, 4]


async def test_a_number_is_not_spent_on_a_sale_that_was_not_written(world: World) -> None:
    """The number and the sale are one transaction."""
    till = world.till("a")
    for bad in ({"total": 12.2}, {"note": "x" * 300_000}):
        with pytest.raises((InvalidMutationError, MutationTooLargeError)):
            till.client.sell(sale(**bad))
    assert till.client.sell(sale()).number == 1
    assert till.client.status.pending == 1


async def test_several_drafts_are_written_together_or_not_at_all(world: World) -> None:
    """The third is bad, so the first two are not there."""
    till = world.till("a")
    drafts = [Draft("products", "create", fields=product(name)) for name in ("One", "Two")]
    with pytest.raises(InvalidMutationError):
        till.client.mutate_all(*drafts, Draft("products", "update"))
    assert till.client.records("products") == {}
    assert [made.mutation_id for made in till.client.mutate_all(*drafts)] == [1, 2]


@pytest.mark.parametrize(
    "fields",
    [
        {"price": 1.2},
        {"lines": [{"total": 0.1}]},
        {"price": Decimal("NaN")},
        {"n": 2**53},
        {"name": "\ud800"},
        {"when": object()},
        {"lines": LOOP},
        {"deep": {1: "name"}},
    ],
)
async def test_what_no_server_could_take_is_refused_when_it_is_made(world: World, fields: dict[str, Any]) -> None:
    """A float above all; the message names the place and never the value."""
    till = world.till("a")
    with pytest.raises(InvalidMutationError):
        till.client.create("products", fields)
    assert till.client.status.pending == 0


@pytest.mark.parametrize("delta", [1, 1.5, "1e3", "", "one", None])
async def test_an_increment_is_a_decimal(world: World, delta: Any) -> None:
    """As text or Decimal; nothing else adds up exactly."""
    till = world.till("a")
    with pytest.raises(InvalidMutationError):
        till.client.update("products", "x", increments={"stock": delta})


async def test_a_mutation_of_256_kib_is_taken_and_one_byte_more_is_not(world: World) -> None:
    """The limit is the protocol's, and the whole mutation counts."""
    till = world.till("a")
    base = till.client.create("customers", {"name": "x"})
    content = till.client.entries()[0].content
    room = 256 * 1024 - 64 - len(json.dumps(content, separators=(",", ":")).encode()) + 1
    with pytest.raises(MutationTooLargeError):
        till.client.create("customers", {"name": "x" * (room + 1)}, record_id=base.record_id)
    till.client.create("customers", {"name": "x" * room}, record_id=base.record_id)
    assert till.client.status.pending == 2


async def test_decimals_become_wire_text(world: World) -> None:
    """Money goes in as Decimal and out as text; nothing is rounded."""
    till = world.till("a")
    made = till.client.create("products", product(price=Decimal("1E+1")), increments={"stock": Decimal("0.250")})
    till.client.update("products", made.record_id, increments={"stock": "-0.125"})
    fields = till.client.records("products")[made.record_id].fields
    assert (fields["price"], fields["stock"]) == ("10", "0.125")


async def test_the_view_follows_every_operation(world: World) -> None:
    """Create, update, delete and restore, pending over base."""
    till = world.till("a")
    made = till.client.create("products", product(), increments={"stock": "1"})
    seen = [till.client.record("products", made.record_id)]
    await till.client.drain()
    till.client.update("products", made.record_id, {"name": "Tè"}, increments={"stock": "2.5"})
    seen.append(till.client.record("products", made.record_id))
    till.client.delete("products", made.record_id)
    seen.append(till.client.record("products", made.record_id))
    assert till.client.records("products") == {}
    till.client.restore("products", made.record_id)
    seen.append(till.client.record("products", made.record_id))
    assert [(one.deleted, one.fields["name"], one.fields["stock"], one.unsent) for one in seen if one is not None] == [
        (False, "Caffè", "1", 1),
        (False, "Tè", "3.500", 1),
        (True, "Tè", "3.500", 2),
        (False, "Tè", "3.500", 3),
    ]
    await till.client.drain()
    world.assert_settled(till)


async def test_an_edit_brings_back_what_it_saw_deleted(world: World) -> None:
    """Deleted here or known to be deleted: it returns. An edit made before the deletion arrived does not undo it."""
    till, other = world.till("a"), world.till("b")
    here, known, late = (till.client.create("products", product(name)).record_id for name in ("1", "2", "3"))
    till.client.delete("products", here)
    till.client.update("products", here, {"name": "back"})
    assert set(till.client.records("products")) == {here, known, late}
    await till.client.drain()
    await other.client.drain()
    for record_id in (known, late):
        other.client.delete("products", record_id)
    till.client.update("products", late, {"name": "too late to know"})
    await other.client.drain()
    with till.client.store._database.transaction() as meta:
        till.client.store._base.write(meta, [_tombstone(known), _tombstone(late)])
    assert set(till.client.records("products")) == {here}
    till.client.update("products", known, {"name": "back"})
    till.client.delete("products", here)
    till.client.update("products", here, {"name": "back again"})
    with till.client.store._database.transaction() as meta:
        till.client.store._base.write(meta, [{**_tombstone(here), "version": 9, "deleted": False}])
    assert set(till.client.records("products")) == {here, known}


async def test_an_edit_of_what_is_not_there_shows_nothing(world: World) -> None:
    """It is queued, and the server will say what it thinks of it."""
    till = world.till("a")
    till.client.update("products", "01931e1e-0000-7000-8000-000000000000", {"name": "Ghost"})
    assert till.client.records("products") == {}
    assert till.client.record("products", "01931e1e-0000-7000-8000-000000000000") is None


async def test_an_edit_says_which_version_it_has_seen(world: World) -> None:
    """The base's, whatever is pending: one's own writes are seen by their author anyway."""
    till = world.till("a")
    made = till.client.create("products", product())
    await till.client.drain()
    for name in ("Two", "Three"):
        till.client.update("products", made.record_id, {"name": name})
    contents = [entry.content for entry in till.client.entries()]
    assert [(content["base_version"], content["epoch"]) for content in contents] == [
        (0, None),
        (1, "epoch-1"),
        (1, "epoch-1"),
    ]


async def test_everything_a_client_makes_is_well_formed(world: World) -> None:
    """The server's own parser takes it, and ids sort by time."""
    till = world.till("a", schema=4)
    till.client.sell(sale(), actor="anna")
    made = till.client.create("products", product(), increments={"stock": "3"})
    till.client.delete("products", made.record_id)
    await till.client.drain()
    sent = [mutation for request in world.server.requests for mutation in request["mutations"]]
    told = [(m["schema"], m.get("actor")) for m in sent if not isinstance(m, Unusable)]
    assert told == [(4, "anna"), (4, None), (4, None)]
    assert REGISTRY.parse_request(till.line.sent[0].content)["schema"] == 4
    made_up = [uid for entry in till.client.entries() for uid in (entry.uid, entry.record_id, entry.client_id)]
    assert {(uuid.UUID(uid).version, uuid.UUID(uid).variant) for uid in made_up} == {(7, uuid.RFC_4122)}


async def test_what_a_person_put_aside_is_off_the_list_and_not_gone(world: World) -> None:
    """It can be exported; it cannot be sent or put aside twice."""
    till = world.till("a")
    bad = till.client.create("products", product(price="expensive"))
    await till.client.drain()
    assert json.loads(till.client.export("rejected"))[0]["content"]["fields"]["price"] == "expensive"
    till.client.dismiss(bad.uid)
    assert till.client.rejected() == []
    assert "expensive" in till.client.export()
    for again in (lambda: till.client.dismiss(bad.uid), lambda: till.client.resend(bad.uid)):
        with pytest.raises(UnknownRejectionError):
            again()


async def test_an_erased_mutation_cannot_be_sent_again(world: World) -> None:
    """There is nothing left to send."""
    till = world.till("a")
    made = till.client.create("customers", {"name": "Mario"})
    world.server.edit = judged(status="rejected", code="erased", version=None)
    await till.client.sync_once()
    with pytest.raises(InvalidMutationError):
        till.client.resend(made.uid)


async def test_a_number_field_belongs_to_its_series(world: World) -> None:
    """Nobody gives a receipt a number of their own."""
    till = world.till("a")
    with pytest.raises(InvalidMutationError):
        till.client.sell(sale(receipt_no=99))
    assert till.client.mutate(Draft("notes", "create", fields={}, number=Number("no", "notes"))).number == 1


def test_a_database_is_durable_by_its_settings(tmp_path: Path) -> None:
    """WAL with synchronous=FULL: a power cut takes nothing that was returned."""
    store = Store(tmp_path / "till.db")
    connection = store._database.connection
    pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    store.close()
    assert pragmas == ["wal", 2]


async def test_no_exchange_reads_the_whole_journal(world: World) -> None:
    """Every statement of the daily way finds its rows by an index, however long the journal has grown."""
    till = world.till("a")
    connection = till.client.store._database.connection
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    for price in ("1.00", "?"):
        till.client.create("products", product(price=price))
    await till.client.drain()
    assert till.client.status.rejected == 1
    till.client.record("products", "x")
    connection.set_trace_callback(None)
    plans = {
        step
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE", "INSERT"))
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    }
    assert "SEARCH mutations USING INDEX sqlite_autoindex_mutations_1 (uid=?)" in plans
    assert [step for step in plans if step.startswith(("SCAN mutations", "SCAN base")) and "USING" not in step] == []


def test_two_processes_may_use_one_file(tmp_path: Path) -> None:
    """Numbers are given under the write lock, so neither connection can give one twice."""
    one, two = Store(tmp_path / "till.db"), Store(tmp_path / "till.db")
    draft = Draft("sales", "create", number=Number("receipt_no", "c1"))
    made = [store.write(draft)[0] for store in (one, two, two, one)]
    assert [(each.mutation_id, each.number) for each in made] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert len(one.entries()) == len(two.entries()) == 4
    one.close()
    two.close()


def test_a_transaction_takes_the_write_lock_before_it_reads(tmp_path: Path) -> None:
    """Else both would read the same last number."""
    one, two = Store(tmp_path / "till.db"), Store(tmp_path / "till.db")
    two._database.connection.execute("PRAGMA busy_timeout = 0")
    with one._database.transaction(), pytest.raises(StoreError, match="locked"), two._database.transaction():
        pytest.fail("both are in")
    one.close()
    two.close()


def test_two_processes_writing_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Nobody is refused, and no number is given twice."""

    def sell() -> None:
        store = Store(tmp_path / "till.db")
        for _ in range(20):
            store.write(Draft("sales", "create", number=Number("receipt_no", "c1")))
        store.close()

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(sell) for _ in range(3)]:
            future.result()
    store = Store(tmp_path / "till.db")
    entries = store.entries()
    store.close()
    assert [entry.mutation_id for entry in entries] == list(range(1, 61))
    assert [entry.content["fields"]["receipt_no"] for entry in entries] == list(range(1, 61))


def test_a_database_of_a_newer_app_is_left_alone(tmp_path: Path) -> None:
    """An older app does not guess."""
    Store(tmp_path / "till.db").close()
    with sqlite3.connect(tmp_path / "till.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreTooNewError):
        Store(tmp_path / "till.db")


def test_a_database_that_refuses_is_a_typed_error(tmp_path: Path) -> None:
    """A folder is no database, and a full disk is told as such; nothing half is kept."""
    with pytest.raises(StoreError):
        Store(tmp_path)
    store = Store(tmp_path / "till.db")
    store.write(Draft("sales", "create"))
    (pages,) = store._database.connection.execute("PRAGMA page_count").fetchone()
    store._database.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        store.write(Draft("sales", "create", fields={"note": "x" * 100_000}))
    assert len(store.entries()) == 1
    store._database.connection.execute("PRAGMA max_page_count = 1000000")
    assert store.write(Draft("sales", "create"))[0].mutation_id == 2
    store.close()


def test_a_database_of_the_first_release_is_taken_over(tmp_path: Path) -> None:
    """What is queued and shown stays; the copy is pulled anew beside it, for it did not know its buckets."""
    with sqlite3.connect(tmp_path / "till.db") as connection:
        connection.executescript(FIRST_RELEASE)
    connection.close()
    store = Store(tmp_path / "till.db")
    meta, shown = store.meta(), store.records("products")
    assert (meta.client_id, meta.last_issued, meta.cursor, meta.building_side) == ("c", 2, None, 0)
    assert {record_id: record.fields for record_id, record in shown.items()} == {"p": {"name": "old"}}
    assert [entry.mutation_id for entry in store.entries("pending")] == [1]
    assert [entry.settled_at for entry in store.entries("waiting")] == [None]
    assert meta.pruned_to == 0
    page = Change(collection="products", record_id="q", version=1, audience="tenant", deleted=False, fields={})
    with store._database.transaction() as meta:
        store._base.write(meta, [page])
        store._base.swap(meta)
    assert set(store.records("products")) == {"q"}
    store.close()


def test_a_long_cursor_leaves_less_room_for_mutations() -> None:
    """A request has one size, whatever an owner of many shops is given for a cursor."""
    store = Store(":memory:")
    store.write(*[Draft("customers", "create", fields={"name": "x" * 1000}) for _ in range(4)])
    one = len(store.outgoing(1, 10**6).mutations[0])
    room = 3 * (one + 1)
    assert len(store.outgoing(9, room).mutations) == 3
    with store._database.transaction() as meta:
        meta.cursor = "c" * one
    assert len(store.outgoing(9, room).mutations) == 2
    with store._database.transaction() as meta:
        meta.cursor = "c" * room
    assert len(store.outgoing(9, room).mutations) == 1
    store.close()


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_what_the_first_release_pruned_is_known_from_what_is_left(tmp_path: Path, gone: int) -> None:
    """It kept no note of it: before the first entry of the journal, or all that was ever issued."""
    with sqlite3.connect(tmp_path / "till.db") as connection:
        connection.executescript(FIRST_RELEASE)
        connection.execute("DELETE FROM mutations WHERE mutation_id <= ?", (gone,))
    connection.close()
    store = Store(tmp_path / "till.db")
    assert store.meta().pruned_to == gone
    store.close()
