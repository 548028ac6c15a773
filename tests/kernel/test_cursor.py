"""The cursor: every one goes round, and whatever was not made by the server's own hand is refused the same way."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.cursor import Cursor, CursorKeys, Mark, Range
from sync.errors import CursorError

KEYS = CursorKeys(b"k" * 32)
OTHER = CursorKeys(b"o" * 32)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NUMBERS = st.integers(-1, 2**63 - 1)
TEXTS = st.text(max_size=20)
BUCKETS = st.frozensets(st.tuples(TEXTS, TEXTS), max_size=4)
CURSORS = st.builds(
    Cursor,
    epoch=TEXTS,
    mark=st.builds(Mark, NUMBERS, TEXTS),
    schema=NUMBERS,
    target=st.none() | NUMBERS,
    ranges=st.lists(st.builds(Range, NUMBERS, NUMBERS, BUCKETS), max_size=3).map(tuple),
)
EXAMPLE = Cursor("e", Mark(7, "n"), 4, 12, (Range(9, 5, frozenset([("sales", "shop:bar"), ("notes", "tenant")])),))


def refused(text: str, keys: CursorKeys = KEYS) -> bool:
    """Whether a text is answered with CursorError, the only exception there is."""
    try:
        keys.decode(text)
    except CursorError:
        return True
    return False


@given(CURSORS)
def test_every_cursor_goes_round(cursor: Cursor) -> None:
    """What was encoded is decoded, from text that needs no escaping in an address."""
    text = KEYS.encode(cursor)
    assert set(text) <= set(ALPHABET)
    assert KEYS.decode(text) == cursor


@given(CURSORS)
def test_equal_cursors_are_equal_text(cursor: Cursor) -> None:
    """Sets have no order of their own on the wire."""
    again = cursor._replace(ranges=tuple(r._replace(buckets=frozenset(sorted(r.buckets))) for r in cursor.ranges))
    assert KEYS.encode(again) == KEYS.encode(cursor)


def test_the_cursor_of_a_thousand_shops_goes_round_and_fits_the_wire() -> None:
    """Names of the greatest length; nothing about it can be changed either."""
    buckets = frozenset((name, f"shop:{shop:x<64}") for name in ("sales", "invoices") for shop in range(1000))
    cursor = EXAMPLE._replace(ranges=(Range(9, 5, buckets),))
    text = KEYS.encode(cursor)
    assert (KEYS.decode(text), len(text) < 16_384) == (cursor, True)
    assert refused(text[:-1])
    assert refused(_text(bytes([2, *_raw(text)[1:]])))


def test_no_byte_can_be_another() -> None:
    """Every position, every other byte of the alphabet and some beyond it."""
    text = KEYS.encode(EXAMPLE)
    for place, sign in enumerate(text):
        for other in ALPHABET + "+/= \n\x00é\ud800":
            assert other == sign or refused(text[:place] + other + text[place + 1 :])


def test_no_bit_can_be_another() -> None:
    """Of what the text stands for."""
    raw = _raw(KEYS.encode(EXAMPLE))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refused(_text(bytes(flipped)))


def test_nothing_can_be_cut_off_or_added() -> None:
    """At either end, in the middle, padding and white space included."""
    text = KEYS.encode(EXAMPLE)
    for place in range(len(text)):
        assert refused(text[:place])
        assert refused(text[place + 1 :])
        assert refused(text[:place] + text[place + 1 :])
    for more in ("A", "AA", "AAAA", "=", "==", "===", "====", " ", "\n", "-", text):
        assert refused(text + more)
        assert refused(more + text)


@given(CURSORS)
def test_another_servers_cursor_is_refused(cursor: Cursor) -> None:
    """Its keys are not ours."""
    assert refused(OTHER.encode(cursor))


@given(st.text() | st.text(ALPHABET) | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_whatever_else_is_refused(text: str) -> None:
    """Anything at all gets a CursorError and no other exception."""
    assert refused(text)


@given(st.binary(max_size=60))
def test_what_bears_our_version_and_key_is_refused_too(rest: bytes) -> None:
    """A forger sees both in every cursor he was given."""
    head = _raw(KEYS.encode(EXAMPLE))[:5]
    assert refused(_text(head + rest))


def test_every_layout_but_ours_is_refused() -> None:
    """An authentic text of another version is not read as this one."""
    signed = b"\x01" + _raw(KEYS.encode(EXAMPLE))[1:-16]
    assert refused(_text(signed + hmac.digest(b"k" * 32, signed, "sha256")[:16]))
    signed = b"\x02" + signed[1:]
    assert not refused(_text(signed + hmac.digest(b"k" * 32, signed, "sha256")[:16]))


def test_a_new_key_reads_what_the_old_one_signed() -> None:
    """Keys are rotated: the first signs, all verify, and one taken away verifies no more."""
    both = CursorKeys(b"o" * 32, b"k" * 32)
    text = KEYS.encode(EXAMPLE)
    assert both.decode(text) == EXAMPLE
    assert both.encode(EXAMPLE) == OTHER.encode(EXAMPLE)
    assert refused(both.encode(EXAMPLE), KEYS)


def test_a_key_id_borrows_no_other_key() -> None:
    """What is signed with one key and names another is refused."""
    both = CursorKeys(b"o" * 32, b"k" * 32)
    signed = _raw(both.encode(EXAMPLE))[:1] + hashlib.sha256(b"k" * 32).digest()[:4] + _raw(both.encode(EXAMPLE))[5:-16]
    assert refused(_text(signed + hmac.digest(b"o" * 32, signed, "sha256")[:16]), both)


@pytest.mark.parametrize("other", [("t2", "e", 1), ("t", "e2", 1), ("t", "e", 2)])
def test_a_heads_name_tells_heads_apart(other: tuple[str, str, int]) -> None:
    """Equal heads have equal names, others have others, and a name says nothing."""
    name = KEYS.head("t", "e", 1)
    assert name == KEYS.head("t", "e", 1)
    assert name != KEYS.head(*other)
    assert name != OTHER.head("t", "e", 1)
    assert len(name) == 24


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
