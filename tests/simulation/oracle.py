"""The oracle: what must be true when every queue is drained and everybody has pulled (03-sync.md, last section).

It is computed from what people made, what they were answered and what their devices hold, and from the server's rows
as plain data. It shares no code with the server.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from tests.simulation.case import Case
from tests.simulation.oracle_values import (
    a_clash_is_for_a_person,
    clocks_ahead_are_clamped,
    deletions_hold_until_undone,
    fields_are_as_the_rules_give_them,
    no_value_is_lost,
    nobody_loses_to_themselves,
)
from tests.simulation.standing import Key, require

_RANGE = 10**13  # of a quantity, in thousandths
_COUNTERS = {"products": "stock", "errands": "minutes"}
_FINAL = {"settled", "rejected", "resolved", "waiting"}

Counted = tuple[str, str, str]
"""(collection, record id, field)."""


def judge(case: Case) -> None:
    """Every clause. Raises Violation."""
    for clause in CLAUSES:
        clause(case)


def every_device_equals_the_server(case: Case) -> None:
    """Records and versions, within the device's scope; and what a person sees is just that."""
    for device in case.devices:
        expected = {
            key: (row.version, dict(row.fields))
            for key, row in case.server.records.items()
            if device.sees(row.audience) and not row.deleted
        }
        base = {key: (held.version, dict(held.fields)) for key, held in device.base.items() if not held.deleted}
        require("devices equal the server", base == expected, f"{device.name}: {_difference(base, expected)}")
        shown = {key: dict(fields) for key, fields in device.view.items()}
        fields = {key: fields for key, (_, fields) in expected.items()}
        require("digest", not device.differences, f"{device.name} found {device.differences} differences")
        waiting = any(own.state == "waiting" for own in device.journal)
        require(
            "devices equal the server", waiting or shown == fields, f"{device.name} shows {_difference(shown, fields)}"
        )


def digests_are_of_what_is_there(case: Case) -> None:
    """The sums that writers keep are those of the live records."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for (collection, record_id), row in case.server.records.items():
        if not row.deleted:
            text = f"{collection}\n{record_id}\n{row.version}".encode()
            sums[collection, row.audience] += int.from_bytes(sha256(text).digest()) >> (256 - 52)
    expected = {bucket: total % 2**52 for bucket, total in sums.items()}
    kept = {bucket: total for bucket, total in case.server.digests.items() if total or bucket in expected}
    require("digest", kept == expected, _difference(kept, expected))


def every_mutation_has_one_verdict(case: Case) -> None:
    """What devices were told, what was answered first and what the server remembers are the same."""
    for device in case.devices:
        for own in device.journal:
            require("one verdict", own.state in _FINAL and own.verdict, f"{own.uid} is still {own.state}")
            assert own.verdict is not None
            told = case.ledger.told.get(own.uid)
            if own.verdict["code"] == "verdict_expired" and own.uid in case.ledger.forgotten:
                continue
            if told is None and own.state in {"rejected", "resolved"} and own.uid in case.ledger.refused:
                continue  # in a history that was set back; it is not sent again
            require("one verdict", told is not None, f"{own.uid} was told to {device.name} and never answered")
            assert told is not None
            if own.state == "waiting" and own.uid in case.ledger.late and device.copied:
                continue  # the end is told to whoever sent it last: see "Open" in the README
            same = all(told.verdict[name] == own.verdict[name] for name in ("status", "version", "code"))
            require("one verdict", same, f"{own.uid}: {told.verdict} and {own.verdict}")
    for uid in case.ledger.made:
        gone = uid in case.ledger.lost | case.ledger.refused | case.ledger.forgotten
        require("one verdict", gone or uid in case.server.mutations, f"{uid} is not remembered")
    unknown = case.ledger.told.keys() - case.server.mutations.keys() - case.ledger.forgotten
    require("one verdict", not unknown, f"answered and not remembered: {sorted(unknown)}")


def nothing_fails_inside(case: Case) -> None:
    """No mutation is refused for a defect of the server's."""
    failed = [uid for uid, told in case.ledger.told.items() if told.verdict["code"] == "internal_error"]
    require("internal error", not failed, f"{failed}")


def nobody_waits_for_what_is_there(case: Case) -> None:
    """A mutation waits for a record that never came, or that was out of its sender's sight when it came."""
    for uid in case.ledger.waiting():
        row = case.server.records.get(case.ledger.told[uid].key)
        seen_by_all = row is not None and row.audience == "tenant"
        require("waiting", not seen_by_all, f"{uid} waits for {case.ledger.told[uid].key}, which is there")


def what_is_refused_is_kept(case: Case) -> None:
    """Every rejected mutation is in the rejected list, whole."""
    refused = {uid for uid, told in case.ledger.told.items() if told.verdict["status"] == "rejected"}
    mine = {uid for uid in refused if uid in case.ledger.made}
    require("refused is kept", mine <= case.server.rejected, f"missing: {sorted(mine - case.server.rejected)}")


def facts_are_never_refused(case: Case) -> None:
    """A sale happened, whatever other records say."""
    for uid, told in case.ledger.told.items():
        if told.key[0] == "sales" and told.mutation["op"] == "create":
            require("facts", told.verdict["status"] == "applied", f"{uid}: {told.verdict}")
            require("facts", told.key in case.server.records, f"{uid}: the sale is gone")


def counters_are_the_sum_of_their_deltas(case: Case) -> None:
    """Stock is what came in less what live, unvoided sales took, held increments included; other counters likewise."""
    expected = _increments(case)
    for counter, taken in _taken_by_sales(case).items():
        expected[counter] -= taken
    for (collection, record_id), row in case.server.records.items():
        name = _COUNTERS.get(collection)
        if name is not None and not row.collected:
            counter = (collection, record_id, name)
            have = _units(row.fields[name], 3) + case.server.held.get(counter, 0)
            require("counters", have == expected[counter], f"{counter}: {have} instead of {expected[counter]}")
            out_of_range = abs(have) >= _RANGE
            require("counters", counter not in case.server.held or out_of_range, f"{counter} is held for no reason")
    for counter, units in case.server.held.items():
        known = counter[:2] in case.server.records
        require("counters", known or units == expected[counter], f"{counter}: {units} held of {expected[counter]}")


def _increments(case: Case) -> dict[Counted, int]:
    sums: dict[Counted, int] = defaultdict(int)
    for told in case.accepted().values():
        for name, delta in told.mutation.get("increments", {}).items():
            sums[*told.key, name] += _units(delta, 3)
    return sums


def _taken_by_sales(case: Case) -> dict[Counted, int]:
    sums: dict[Counted, int] = defaultdict(int)
    for (collection, _), row in case.server.records.items():
        if collection == "sales" and row.fields["status"] != "voided" and not row.deleted:
            for line in row.fields["lines"]:
                if line.get("product_id") is not None:
                    sums["products", line["product_id"], "stock"] += _units(line["quantity"], 3)
    return sums


def money_is_equal_to_the_cent(case: Case) -> None:
    """The sums of sales: made and accepted, stored, and seen on every device."""
    made = sum(
        _units(told.mutation["fields"]["total"], 2)
        for told in case.accepted().values()
        if told.key[0] == "sales" and told.mutation["op"] == "create"
    )
    sales = {key: row for key, row in case.server.records.items() if key[0] == "sales"}
    stored = sum(_units(row.fields["total"], 2) for row in sales.values())
    require("money", made == stored, f"{made} cents made, {stored} stored")
    for device in case.devices:
        mine = sum(_units(row.fields["total"], 2) for row in sales.values() if device.sees(row.audience))
        seen = sum(_units(held.fields["total"], 2) for key, held in device.base.items() if key[0] == "sales")
        require("money", mine == seen, f"{device.name} sees {seen} cents of {mine}")


def receipts_have_no_holes(case: Case) -> None:
    """Each till's numbers are 1, 2, 3 … once each, unless its database was copied."""
    copied = {device.name for device in case.devices if device.copied}
    numbers: dict[str, list[int]] = defaultdict(list)
    for key, row in case.server.records.items():
        if key[0] == "sales" and row.fields["terminal_id"] not in copied:
            numbers[row.fields["terminal_id"]].append(row.fields["receipt_no"])
    for till, given in numbers.items():
        require("receipts", sorted(given) == list(range(1, len(given) + 1)), f"{till}: {sorted(given)}")


def every_sale_is_forwarded_once(case: Case) -> None:
    """One outbox row when it was rung up and one when it was voided, under the uid of the mutation that did it."""
    found = Counter((delivery.key, delivery.event) for delivery in case.server.deliveries)
    expected: Counter[tuple[Key, str]] = Counter()
    for key, row in case.server.records.items():
        if key[0] == "sales":
            expected[key, "sales.created"] = 1
            if row.fields["status"] == "voided":
                expected[key, "sales.voided"] = 1
    require("outbox", found == expected, f"too many {found - expected}, missing {expected - found}")
    accepted = case.accepted()
    for delivery in case.server.deliveries:
        told = accepted.get(delivery.uid)
        require("outbox", told is not None and told.key == delivery.key, f"{delivery} belongs to nothing accepted")


def _units(text: str, places: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(places, "0"))


def _difference(have: Mapping[Any, Any], expected: Mapping[Any, Any]) -> str:
    keys = sorted(key for key in have.keys() | expected.keys() if have.get(key) != expected.get(key))
    return "; ".join(f"{key}: {have.get(key)} instead of {expected.get(key)}" for key in keys[:3])


CLAUSES: tuple[Callable[[Case], None], ...] = (
    every_device_equals_the_server,
    digests_are_of_what_is_there,
    every_mutation_has_one_verdict,
    nothing_fails_inside,
    nobody_waits_for_what_is_there,
    what_is_refused_is_kept,
    facts_are_never_refused,
    counters_are_the_sum_of_their_deltas,
    money_is_equal_to_the_cent,
    receipts_have_no_holes,
    every_sale_is_forwarded_once,
    no_value_is_lost,
    fields_are_as_the_rules_give_them,
    a_clash_is_for_a_person,
    nobody_loses_to_themselves,
    deletions_hold_until_undone,
    clocks_ahead_are_clamped,
)
