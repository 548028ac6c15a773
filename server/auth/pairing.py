"""Pairing: a device that is signed in shows a code, another one types or scans it, and is let in.

Rules:

1. A code is good once, and for ten minutes. It is spent by compare-and-set in the transaction that makes the device.
2. An owner pairs devices of any role and shop: tills, which are signed in as nobody, and their own. Anybody else who is
   signed in pairs a device for themselves, in their own shop: it is out when they are. A device that is signed in as
   nobody, and is no owner's, pairs nothing: who stood before it once would stay in for ever.
3. A code is void when the device it was shown on is revoked, and when anybody of the merchant is disabled or given
   another role or shop: it may have been theirs to ask for, and is no more.
4. At most `MOST_LIVE` codes are live in the whole installation, `MOST_OF_ONE` of one merchant: `guesses` says why. A
   few more in a race between processes change nothing there. Of one maker, a person or a device on which nobody is,
   at most `MOST_OF_MAKER`: a newer one voids their oldest, so that no clerk keeps the owner from pairing.
5. An owner may name a device that is to come back: it is let in as that device again, with its queue and its numbers.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.admin import Admin, Device
from server.auth.codes import Codes, Link
from server.auth.entrance import Entrance, Place, Proven
from server.auth.errors import AccessError
from server.auth.guesses import Guesses
from server.auth.jobs import submit
from server.auth.names import checked_name, checked_role, put_shop
from server.auth.readmission import readmit, standing_of
from server.auth.sessions import Issued, Sessions
from server.ports import Principal
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

LIFE_MS = 10 * 60 * 1000
MOST_LIVE, MOST_OF_ONE, MOST_OF_MAKER = 180, 20, 3

_OLD = Statement("DELETE FROM invites WHERE tenant_id = :tenant_id AND kind = 'pair' AND expires_at < :now")
_OLDEST = Statement(
    """DELETE FROM invites WHERE tenant_id = :tenant_id AND code_hash IN (
       SELECT i.code_hash FROM invites AS i WHERE i.tenant_id = :tenant_id AND i.kind = 'pair' AND i.used_at IS NULL
       AND coalesce(i.asked_by, i.made_by) = :maker ORDER BY i.expires_at DESC, i.code_hash LIMIT 100 OFFSET :kept)"""
)
_LIVE = Statement(
    """/* across tenants */ SELECT count(*), coalesce(sum(CASE WHEN tenant_id = :tenant_id THEN 1 ELSE 0 END), 0)
       FROM invites WHERE kind = 'pair' AND used_at IS NULL AND expires_at > :now"""
)
_INSERT = Statement(
    """INSERT INTO invites (tenant_id, code_hash, kind, name, role, shop, person_id, made_by, asked_by, device_id,
       created_at, expires_at) VALUES (:tenant_id, :code_hash, 'pair', :name, :role, :shop, :person_id, :made_by,
       :asked_by, :device_id, :now, :expires_at)"""
)
_TENANT_OF = Statement(
    """/* across tenants */ SELECT tenant_id FROM invites WHERE code_hash = :code_hash AND kind = 'pair'
       AND used_at IS NULL AND expires_at > :now"""
)
_STILL = """used_at IS NULL AND expires_at > :now AND EXISTS (SELECT 1 FROM devices AS d
       WHERE d.tenant_id = invites.tenant_id AND d.device_id = invites.made_by AND d.revoked_at IS NULL)"""
_FIND = Statement(
    f"""SELECT name, role, shop, person_id, coalesce(asked_by, made_by), device_id FROM invites
       WHERE tenant_id = :tenant_id AND code_hash = :code_hash AND kind = 'pair' AND {_STILL}"""  # noqa: S608
)
_SPEND = Statement(
    """UPDATE invites SET used_at = :now
       WHERE tenant_id = :tenant_id AND code_hash = :code_hash AND used_at IS NULL AND expires_at > :now"""
)


class Wanted(NamedTuple):
    """The device that is to be paired, by default of the maker's shop. `mine`: they are signed in on it.

    `device_id`: a device that comes back, as which it is let in again; nothing else is said of it then.

    By default it is of the maker's role; of an owner's, where nobody is signed in on it, a terminal.
    """

    role: str | None = None
    shop: str | None = None
    device_name: str | None = None
    mine: bool = False
    device_id: str | None = None


class Code(NamedTuple):
    """A code just made: to be typed, or scanned as a link of the application."""

    code: str
    link: str
    expires_at: str


class _Found(NamedTuple):
    name: str | None
    role: str
    shop: str
    person_id: str | None
    made_by: str
    device_id: str | None


class Desk(NamedTuple):
    """What makes a device and lets it in."""

    admin: Admin
    sessions: Sessions
    entrance: Entrance


async def _nothing(_writing: Writing) -> None:
    """A scanned link was not counted."""


class Pairing:
    """Makes codes and takes them."""

    def __init__(self, writer: Writer, codes: Codes, guesses: Guesses, desk: Desk, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._writer, self._codes, self._guesses, self._desk, self._new_id = writer, codes, guesses, desk, new_id

    async def make(self, who: Principal, wanted: Wanted, actor: Actor) -> Code:
        """A code for a device.

        Raises AccessError (not_yours_to_pair, too_many_codes, unknown_role, bad_shop, no_such_device).
        """
        usual = "terminal" if who.role == "owner" and not wanted.mine else who.role
        role, shop = wanted.role or usual, wanted.shop or who.shop
        _check_may_pair(who, wanted, role, shop)
        name = None if wanted.device_name is None else checked_name(wanted.device_name)
        code, code_hash = self._codes.new_code()
        row = {
            "tenant_id": who.tenant_id,
            "code_hash": code_hash,
            "name": name,
            "role": checked_role(role),
            "shop": shop,
            "person_id": who.person_id if wanted.mine else None,
            "made_by": who.device_id,
            "asked_by": who.person_id,
            "device_id": wanted.device_id,
        }

        async def job(writing: Writing) -> Code:
            maker = {"tenant_id": who.tenant_id, "maker": who.person_id or who.device_id, "kept": MOST_OF_MAKER - 1}
            await writing.tx.execute(_OLDEST, maker)
            await _check_room(writing, who.tenant_id)
            if wanted.device_id is None:
                await put_shop(writing, who.tenant_id, shop)
            else:
                await standing_of(writing, who.tenant_id, wanted.device_id)
            expires_at = encode_instant(writing.now_ms + LIFE_MS)
            await writing.tx.execute(_INSERT, {**row, "now": writing.now, "expires_at": expires_at})
            await note(writing, who.tenant_id, Entry("device.invite", actor))
            return Code(code, f"/#pair={self._codes.link_of(who.tenant_id, code_hash)}", expires_at)

        return await submit(self._writer, who.tenant_id, job)

    async def take(self, given: str, device_name: str, address: str | None, actor: Actor) -> Issued:
        """A session, on a new device or the one that comes back, for who has a code or its link.

        Raises AccessError (code_over, too_many_guesses), DatabaseError.
        """
        link = self._codes.read_link(given)
        if link is not None:
            return await self._use(link, device_name, actor)
        guessed_ms, link = await self._find(given, address)
        return await self._use(link, device_name, actor, lambda w: self._guesses.take_back(w, address, guessed_ms))

    async def _find(self, typed: str, address: str | None) -> tuple[int, Link]:
        """Whose code it is; counted before it is looked up."""
        hashes = self._codes.read_code(typed)

        async def job(writing: Writing) -> AccessError | tuple[int, Link]:
            refusal = await self._guesses.count(writing, address)
            if refusal is not None:
                return refusal
            for code_hash in hashes:
                rows = await writing.tx.fetch(_TENANT_OF, {"code_hash": code_hash, "now": writing.now})
                if rows:
                    return writing.now_ms, Link(rows[0][0], (code_hash,))
            return _over()

        found = await self._writer.submit(Job([], job))
        if isinstance(found, AccessError):
            raise found
        return found

    async def _use(
        self, link: Link, device_name: str, actor: Actor, also: Callable[[Writing], Awaitable[None]] = _nothing
    ) -> Issued:
        tenant_id, (code_hash,) = link

        async def job(writing: Writing) -> Issued:
            at = {"tenant_id": tenant_id, "code_hash": code_hash, "now": writing.now}
            rows = await writing.tx.fetch(_FIND, at)
            if not rows or not await writing.tx.execute(_SPEND, at):
                raise _over()
            await also(writing)
            return await self._let_in(writing, tenant_id, _Found(*rows[0]), device_name, actor)

        return await submit(self._writer, tenant_id, job)

    async def _let_in(self, writing: Writing, tenant_id: str, found: _Found, device_name: str, actor: Actor) -> Issued:
        if found.device_id is not None:
            await readmit(writing, tenant_id, found.device_id, actor)
            return await self._open(writing, tenant_id, found.device_id, actor)
        made_by = found.made_by if found.person_id is None else None
        device = Device(self._new_id(), found.name or device_name, found.role, found.shop, made_by)
        await self._desk.admin.put_device(writing, tenant_id, device, actor)
        if found.person_id is not None:
            place = Place(device.name, Proven(tenant_id, device.device_id))
            return await self._desk.entrance.enter(writing, tenant_id, found.person_id, place, actor, "pairing")
        return await self._open(writing, tenant_id, device.device_id, actor)

    async def _open(self, writing: Writing, tenant_id: str, device_id: str, actor: Actor) -> Issued:
        issued = await self._desk.sessions.open(writing, tenant_id, device_id, None)
        theirs = actor._replace(kind="device", id=device_id)
        await note(writing, tenant_id, Entry("session.open", theirs, "session", issued.session_id, reason="pairing"))
        return issued


def _check_may_pair(who: Principal, wanted: Wanted, role: str, shop: str) -> None:
    own = wanted.mine and role == who.role and shop == who.shop and wanted.device_id is None
    if wanted.mine and who.person_id is None:
        raise AccessError("nobody_signed_in", "Nobody is signed in here: sign in, or pair a till.", status=409)
    if who.role != "owner" and not own:
        message = "You pair devices for yourself, in your own shop: an owner pairs others."
        raise AccessError("not_yours_to_pair", message, status=403)


async def _check_room(writing: Writing, tenant_id: str) -> None:
    at = {"tenant_id": tenant_id, "now": writing.now}
    await writing.tx.execute(_OLD, at)
    ((live, own),) = await writing.tx.fetch(_LIVE, at)
    if live >= MOST_LIVE or own >= MOST_OF_ONE:
        message = "Too many codes wait to be used: use them, or wait ten minutes."
        raise AccessError("too_many_codes", message, status=429, retry_after_s=60)


def _over() -> AccessError:
    return AccessError("code_over", "This code was used, is too old, or is none: have another one shown.", status=410)
