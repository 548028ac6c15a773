"""The vault: what is sealed opens for its own row only, and keys of different purposes share nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.credentials.keyring import SecretKeyError, open_ring
from server.credentials.vault import SealedError, Vault

_VAULT = Vault.of(b"\x07" * 32)
_ROW = ("tenant", "http", "endpoint")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=100), max_size=5))
def test_what_is_sealed_opens_again(values: dict[str, str]) -> None:
    """Any names, any texts."""
    assert _VAULT.unseal(*_ROW, _VAULT.seal(*_ROW, values)) == values


def test_the_same_secret_sealed_twice_looks_different() -> None:
    """A nonce is never used again."""
    assert _VAULT.seal(*_ROW, {"a": "b"}) != _VAULT.seal(*_ROW, {"a": "b"})


@pytest.mark.parametrize(
    "row",
    [
        ("other", "http", "endpoint"),
        ("tenant", "pos", "endpoint"),
        ("tenant", "http", "e"),
        ("tenanth", "ttp", "endpoint"),
    ],
)
def test_a_sealed_secret_moved_to_another_row_does_not_open(row: tuple[str, str, str]) -> None:
    """Tenant, provider and row are part of what is authenticated, each for itself."""
    with pytest.raises(SealedError):
        _VAULT.unseal(*row, _VAULT.seal(*_ROW, {"secret": "s"}))


@given(st.data())
def test_a_changed_letter_does_not_open(data: st.DataObject) -> None:
    """Nor anything that was never sealed."""
    sealed = _VAULT.seal(*_ROW, {"secret": "s"})
    place = data.draw(st.integers(0, len(sealed) - 3))
    letter = data.draw(st.characters(codec="ascii").filter(lambda c: c != sealed[place]))
    with pytest.raises(SealedError):
        _VAULT.unseal(*_ROW, sealed[:place] + letter + sealed[place + 1 :])


def test_another_master_key_opens_nothing() -> None:
    """And derives other keys; so does another purpose."""
    other = Vault.of(b"\x08" * 32)
    with pytest.raises(SealedError):
        other.unseal(*_ROW, _VAULT.seal(*_ROW, {"secret": "s"}))
    assert len({*_VAULT.derive("a"), *_VAULT.derive("b"), *other.derive("a")}) == 3


def test_the_first_start_makes_a_key_only_its_owner_can_read(tmp_path: Path) -> None:
    """And the next one finds it."""
    first = Vault(open_ring(tmp_path / "data", None))
    sealed = first.seal(*_ROW, {"secret": "s"})
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert Vault(open_ring(tmp_path / "data", None)).unseal(*_ROW, sealed) == {"secret": "s"}


@pytest.mark.parametrize("key", ["", "zz", "00" * 31])
def test_an_unusable_key_is_refused_in_plain_words(tmp_path: Path, key: str) -> None:
    """Whether it comes from the environment or from the file; nothing is made in its place."""
    with pytest.raises(SecretKeyError):
        open_ring(tmp_path, key)
    (tmp_path / "secret.key").write_text(key)
    with pytest.raises(SecretKeyError):
        open_ring(tmp_path, None)
    assert (tmp_path / "secret.key").read_text() == key
