"""A new master key: everything is sealed anew, nothing is lost on the way, and the old key ends."""

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.credentials import keyring, rotation
from server.credentials.keyring import KeyFile, Ring, SecretKeyError, open_ring, parse_ring
from server.credentials.rotation import Rotation, RotationError
from server.credentials.vault import CURSORS, Vault, _identity, derive
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.cursor import Cursor, CursorKeys, Mark
from tests.credentials.keeping import Keeper, oauth
from tests.support.receiver import SECRET

OLD, NEW = b"\x01" * 32, b"\x02" * 32
_SEALED = Statement(
    """SELECT sealed FROM endpoints WHERE tenant_id = :tenant_id UNION ALL
       SELECT sealed FROM tokens WHERE tenant_id = :tenant_id"""
)
_SPOIL = Statement("UPDATE endpoints SET sealed = :sealed WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id")


async def sealed(keeper: Keeper) -> list[str]:
    """All sealed texts."""
    return [row[0] for row in await keeper.fetch(_SEALED, keeper.tenant_id)]


async def test_everything_is_sealed_anew_and_opens_as_before(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches; the running server's vault follows, and what it seals meanwhile is sealed with the new key."""
    monkeypatch.setattr(rotation, "BATCH", 2)
    places = [(await keeper.connected("http://127.0.0.1:1"))[0] for _ in range(3)]
    await keeper.consents.begin(places[0], "https://shop.example")
    before = await sealed(keeper)
    await keeper.rotation.begin([keeper.tenant_id])
    assert (await keeper.rotation.reseal(keeper.tenant_id)) == (7, 0)
    after = await sealed(keeper)
    assert not set(before) & set(after)
    assert all(text.startswith(keeper.vault.prefix) for text in after)
    for place in places:
        held = await keeper.store.load(place)
        assert held is not None
        assert (held.refresh_token, (await keeper.account(place)).secrets["secret"]) == ("refresh-1", SECRET)


async def test_a_rotation_that_was_stopped_goes_on(keeper: Keeper) -> None:
    """The key that was begun with stays; the old one is not forgotten before all is done."""
    await keeper.endpoint()
    await keeper.rotation.begin([keeper.tenant_id])
    key = keeper.vault.prefix
    with pytest.raises(RotationError, match="still sealed"):
        await keeper.rotation.drop_old([keeper.tenant_id])
    await keeper.rotation.begin([keeper.tenant_id])
    assert (key, await keeper.rotation.reseal(keeper.tenant_id)) == (keeper.vault.prefix, (1, 0))
    assert await keeper.rotation.reseal(keeper.tenant_id) == (0, 0)
    with pytest.raises(RotationError, match="a rotation is open: run `rientro secrets drop-old` first"):
        await keeper.rotation.begin([keeper.tenant_id])
    await keeper.rotation.drop_old([keeper.tenant_id])
    assert len(keeper.ring().masters) == 1
    assert (await keeper.account(await keeper.endpoint())).secrets == {"secret": SECRET}


async def test_what_no_key_opens_is_counted_and_stops_nothing(lite: Keeper) -> None:
    """It stays as it is, for the key may yet be found."""
    place, good = await lite.endpoint(), await lite.endpoint()
    strange = Vault.of(NEW).seal(place.tenant_id, "http", place.endpoint_id, {"secret": SECRET})

    async def spoil(writing: Writing) -> None:
        await writing.tx.execute(_SPOIL, (strange, *place))

    await lite.writer.submit(Job([lite.tenant_id], spoil))
    await lite.rotation.begin([lite.tenant_id])
    assert await lite.rotation.reseal(lite.tenant_id) == (1, 1)
    assert (await lite.account(good)).secrets == {"secret": SECRET}
    assert strange in await sealed(lite)


async def test_keys_of_the_environment_are_rotated_by_whoever_sets_them(lite: Keeper) -> None:
    """Both are given, the new one first; then the old one is taken out."""
    place = await lite.endpoint(**oauth("http://127.0.0.1:1"))
    old = lite.ring().masters[0]
    alone, both = open_ring(Path(), old.hex()), open_ring(Path(), f"{NEW.hex()},{old.hex()}")
    with pytest.raises(RotationError, match="put the new one before it"):
        await Rotation(lite.database, lite.writer, Vault(alone), alone).begin([lite.tenant_id])
    moving = Rotation(lite.database, lite.writer, Vault(both), both)
    await moving.begin([lite.tenant_id])
    assert await moving.reseal(lite.tenant_id) == (1, 0)
    await moving.begin([lite.tenant_id])
    assert await moving.is_done([lite.tenant_id])
    assert lite.ring.add(NEW)
    assert lite.ring.drop_old(lite.ring(), lambda master: master)
    assert (await lite.account(place)).secrets["secret"] == SECRET


def test_cursors_of_an_old_key_are_read_after_it_was_forgotten(tmp_path: Path) -> None:
    """What is left of it opens no secret."""
    ring = KeyFile(tmp_path / "secret.key")
    vault = Vault(ring)
    text = CursorKeys(*vault.derive(CURSORS)).encode(Cursor("e", Mark(0, "n"), 1, None, ()))
    secret = vault.seal("t", "http", "e", {"a": "b"})
    old = ring().masters[0]
    ring.add(NEW)
    assert vault.unseal("t", "http", "e", secret) == {"a": "b"}
    assert ring.drop_old(ring(), lambda _master: vault.derive(CURSORS)[1])
    assert CursorKeys(*vault.derive(CURSORS)).decode(text).epoch == "e"
    assert old.hex() not in (tmp_path / "secret.key").read_text()
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.key"]


def test_two_rotations_at_once_make_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the first one's: no key is lost that something is already sealed with."""
    path, both, write = tmp_path / "secret.key", Barrier(2), keyring._write
    old = KeyFile(path)().masters[0]

    def write_together(handle: int, ring: Ring) -> None:
        with suppress(BrokenBarrierError):  # whoever comes alone has the other one waiting for the lock
            both.wait(0.2)
        write(handle, ring)

    monkeypatch.setattr(keyring, "_write", write_together)
    with ThreadPoolExecutor() as threads:
        added = [threads.submit(KeyFile(path).add, key) for key in (NEW, OLD)]
        assert sorted(future.result() for future in added) == [False, True]
    first = NEW if added[0].result() else OLD
    assert KeyFile(path)().masters == (first, old)


def test_two_first_starts_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One comes while the other has its file open: it sees no empty one, and both have the same key."""
    path, write = tmp_path / "secret.key", keyring._write
    quicker: list[KeyFile] = []

    def write_late(handle: int, ring: Ring) -> None:
        monkeypatch.setattr(keyring, "_write", write)
        quicker.append(KeyFile(path))
        write(handle, ring)

    monkeypatch.setattr(keyring, "_write", write_late)
    slower = KeyFile(path)
    assert slower() == quicker[0]() == parse_ring(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["secret.key"]


def test_only_the_keys_that_were_looked_at_are_dropped(tmp_path: Path) -> None:
    """Another rotation between may have sealed with a key that nobody has looked at."""
    ring = KeyFile(tmp_path / "secret.key")
    before = ring()
    KeyFile(tmp_path / "secret.key").add(NEW)
    assert not ring.drop_old(before, lambda master: master)
    assert ring().masters == (NEW, *before.masters)


def test_secrets_of_the_first_release_open_with_any_key() -> None:
    """Their form names none."""
    nonce = secrets.token_bytes(12)
    box = AESGCM(derive(OLD, "sealed secrets"))
    raw = nonce + box.encrypt(nonce, b'{"a":"b"}', _identity("t", "http", "e"))
    first = f"v1.{base64.urlsafe_b64encode(raw).decode()}"
    assert Vault.of(NEW, OLD).unseal("t", "http", "e", first) == {"a": "b"}


@pytest.mark.parametrize("text", ["", "cursors:" + "00" * 32, "00" * 31, "zz" * 32])
def test_a_ring_without_a_usable_key_is_refused(text: str) -> None:
    """And none is made in its place."""
    with pytest.raises(SecretKeyError):
        parse_ring(text)
