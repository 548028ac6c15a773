"""Idempotency keys and delivery ids: derived, so they are the same everywhere and after a restore."""

import hashlib
import json
import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.outbox.keys import delivery_id, idempotency_key

VECTORS = Path(__file__).parents[1] / "vectors" / "idempotency_key.json"
TENANT, UID, ENDPOINT = (f"0192f0c1-0000-7000-8000-00000000000{n}" for n in range(3))
PARTS = st.tuples(st.text(), st.text(), st.text(), st.text(), st.text())


def test_a_key_is_the_hash_of_its_parts_with_their_lengths() -> None:
    """Spelled out byte by byte once."""
    text = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (TENANT.encode(), UID.encode(), b"sales.forward", ENDPOINT.encode(), b"1")
    )
    assert idempotency_key(TENANT, UID, "sales.forward", ENDPOINT, "1") == f"rnt_{hashlib.sha256(text).hexdigest()}"


def test_the_vectors_hold() -> None:
    """Other programs compute the same keys."""
    cases = json.loads(VECTORS.read_text())["cases"]
    assert cases
    for case in cases:
        parts = [case[name] for name in ("tenant_id", "uid", "route", "endpoint_id", "step")]
        assert idempotency_key(*parts) == case["key"], case["name"]


@given(PARTS, PARTS)
def test_different_parts_have_different_keys(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Whatever the parts hold: the lengths keep them apart."""
    assert (one == other) == (idempotency_key(*one) == idempotency_key(*other))


def test_a_delivery_id_is_a_uuid_that_sorts_by_time() -> None:
    """It begins with the mutation's time, and follows from nothing but the key."""
    key = idempotency_key(TENANT, UID, "sales.forward", ENDPOINT, "1")
    made = uuid.UUID(delivery_id(UID, key))
    assert (str(made), made.version, made.variant) == (delivery_id(UID, key), 8, uuid.RFC_4122)
    assert str(made)[:13] == UID[:13]
