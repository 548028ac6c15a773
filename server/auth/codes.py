"""The texts of one-time links and pairing codes, and what is stored of them.

- A link's token: `<tenant>_<secret>`, 256 random bits.
- A code that is typed by hand: eight signs of Crockford's base32, shown as `ABCD-EFGH`. It is short, so it names no
  tenant, and is stored as an HMAC under a key of the vault: a plain hash of 40 bits is guessed in seconds by whoever
  gets to see the table.
- The link of such a code, for a picture that is scanned: `<tenant>_<what is stored>_<mac>`. It is as hard to guess as
  any secret, so no limit of guesses stands before it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SIGNS = 8
PURPOSE, LINKS = "invites", "pairing links"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_TYPED = re.compile(rf"[{ALPHABET}]{{{SIGNS}}}")
_TOKEN = re.compile(r"([0-9a-f]{32})_([0-9a-f]{64})")
_LINK = re.compile(r"([0-9a-f]{32})_([0-9a-f]{64})_([0-9a-f]{64})")


class Link(NamedTuple):
    """What a link says: its tenant, and the hashes under which it may be stored, newest key first."""

    tenant_id: str
    hashes: Sequence[str]


class Codes:
    """Makes links and codes, and reads them."""

    def __init__(self, derive: Callable[[str], Sequence[bytes]]) -> None:
        """`derive` gives the vault's keys for a purpose: the first makes, all read."""
        self._derive = derive

    def new_token(self, tenant_id: str) -> tuple[str, str]:
        """A link's token, and what is stored of it."""
        token = f"{tenant_id.replace('-', '')}_{secrets.token_hex(32)}"
        return token, self._hash(self._derive(PURPOSE)[0], token)

    def read_token(self, text: str) -> Link | None:
        """What a link's token says, or None for what is none."""
        found = _TOKEN.fullmatch(text)
        return None if found is None else Link(str(UUID(found[1])), self._hashes(text))

    def new_code(self) -> tuple[str, str]:
        """A code as it is shown, and what is stored of it."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(SIGNS))
        return f"{code[:4]}-{code[4:]}", self._hash(self._derive(PURPOSE)[0], code)

    def read_code(self, text: str) -> Sequence[str]:
        """The hashes under which a typed code may be stored; none for what is no code."""
        plain = re.sub(r"[\s-]", "", text).upper().translate(_READ_AS)
        return self._hashes(plain) if _TYPED.fullmatch(plain) else ()

    def link_of(self, tenant_id: str, code_hash: str) -> str:
        """The link of a code."""
        named = f"{tenant_id.replace('-', '')}_{code_hash}"
        return f"{named}_{self._hash(self._derive(LINKS)[0], named)}"

    def read_link(self, text: str) -> Link | None:
        """What a code's link says, or None for what was not made here."""
        found = _LINK.fullmatch(text)
        if found is None:
            return None
        macs = (self._hash(key, f"{found[1]}_{found[2]}") for key in self._derive(LINKS))
        made = any(hmac.compare_digest(mac, found[3]) for mac in macs)
        return Link(str(UUID(found[1])), (found[2],)) if made else None

    def _hashes(self, text: str) -> Sequence[str]:
        return [self._hash(key, text) for key in self._derive(PURPOSE)]

    @staticmethod
    def _hash(key: bytes, text: str) -> str:
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
