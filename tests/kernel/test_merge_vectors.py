"""The vectors of merging: one case for each rule, reasoned by hand, read by other implementations too."""

from copy import deepcopy
from typing import Any

import pytest

from sync.merge import merge
from sync.outcome import Clash, Loser, Writer
from sync.protocol import Unusable
from sync.record import NEW, Record
from tests.kernel.models import REGISTRY
from tests.kernel.vectors import vectors

VECTORS = vectors("merge")


def record_of(said: dict[str, Any] | None, seq: int = 1) -> Record | None:
    """A record as the vectors write it."""
    return None if said is None else Record(seq=seq, audience="", **said)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_a_mutation_makes_of_a_record_what_the_vectors_say(case: dict[str, Any]) -> None:
    """Record, mutation and writer give the outcome; the mutation is one that the wire takes, the record stays."""
    made = REGISTRY.parse_mutation(case["mutation"])
    assert not isinstance(made, Unusable)
    assert made == case["mutation"] or made["op"] == "noop"
    have = record_of(case["record"])
    before = deepcopy(have)
    outcome = merge(REGISTRY.collections[case["mutation"]["collection"]], have, made, Writer(**case["writer"]))
    said = case["outcome"]
    assert (outcome.status, outcome.code) == (said["status"], said["code"])
    assert outcome.record == record_of(said["record"], NEW if have is None else 1)
    assert list(outcome.clashes) == [Clash(**clash) for clash in said.get("clashes", ())]
    assert list(outcome.losers) == [Loser(**loser) for loser in said["losers"]]
    assert (list(outcome.superseded), outcome.clamped) == (said["superseded"], said["clamped"])
    assert have == before


@pytest.mark.parametrize("name", VECTORS["collections"])
def test_the_collections_are_what_the_vectors_say(name: str) -> None:
    """Others build them from the file alone."""
    said, collection = VECTORS["collections"][name], REGISTRY.collections[name]
    assert {field: policy.name for field, policy in collection.policies.items()} == said["policies"]
    assert (collection.defaults, sorted(collection.required)) == (said["defaults"], sorted(said["required"]))
    options = collection.options
    assert (options.concurrent_delete, options.fact) == (said["concurrent_delete"], said["fact"])
    assert (options.rule is None) == (said["rule"] is None)
    wires = {field: collection.fields[field].wire for field in collection.counters}
    assert {f: {"digits": wire.digits, "places": wire.places} for f, wire in wires.items()} == said["counters"]


def test_every_rule_has_its_cases() -> None:
    """Each at least two, but that of the noop."""
    rules = [case["rule"] for case in VECTORS["cases"]]
    few = {rule for rule in rules if rules.count(rule) < 2}
    assert few == {"noop"}
    assert {"seen", "epoch", "last_writer", "clamp", "immutable", "server_owned", "counter", "create"} <= set(rules)
    assert {"existence", "rule", "tags", "manual", "unit"} <= set(rules)
