"""Passwords: hashed by argon2id, beside the loop, a few at a time.

Rules:

1. Two hashes at once in a process, and a line of at most `MOST_WAITING` before them: a flood of sign-ins takes two
   threads and 92 MiB, and is told to come again, while the shop goes on selling.
2. Where there is no password to compare with, one is hashed all the same: that somebody exists cannot be told by the
   time a refusal takes.
3. Ten characters, and not one of those that everybody tries first. No other rule of composition: they make passwords
   that are forgotten and written down (NIST SP 800-63B, 5.1.1.2).
4. One that was hashed by other parameters is hashed anew when it is next shown to be right.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.auth.errors import AccessError

T = TypeVar("T")

SHORTEST, LONGEST = 10, 200
MOST_WAITING = 40
_THREADS = 2
_MOST_COMMON = """
    0000000000 0123456789 0987654321 1111111111 1122334455 123123123123 1234512345 1234554321 12345678910 1234567890
    123456789a 1357924680 147258369a 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 5555555555 9876543210 9999999999 a123456789
    aaaaaaaaaa abcd123456 abcdefghij administrator alessandro amministratore asdfasdfasdf asdfghjkl1 asdfghjkla
    benvenuto1 buongiorno cambiami123 ciaociaociao forzaitalia forzajuventus forzamilan forzanapoli francesco1
    giuseppe123 iloveyou123 letmein1234 liverpool1 manchester1 napoli1926 password01 password10 password11 password12
    password123 password1234 passwordpassword passw0rd123 p@ssw0rd123 q1w2e3r4t5 qazwsxedcr qwerty1234 qwerty12345
    qwerty123456 qwertyuiop qwertyuiop123 ristorante1 segretissima superman123 tiamotiamo welcome123 zxcvbnm123
"""
_COMMON = frozenset(_MOST_COMMON.split())


class Verified(NamedTuple):
    """Whether a password was right, and how it is to be stored from now on, where that is another text."""

    good: bool
    rehashed: str | None = None


def default_hasher() -> PasswordHasher:
    """46 MiB and two passes: some 60 ms on a small server, and dear to guess on a large one."""
    return PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)


def checked_password(password: str) -> str:
    """A password as it is hashed. Raises AccessError (weak_password)."""
    plain = unicodedata.normalize("NFKC", password)
    if not SHORTEST <= len(plain) <= LONGEST:
        message = f"A password has {SHORTEST} to {LONGEST} characters; a few words are easy to keep."
        raise AccessError("weak_password", message, status=422)
    if plain.lower() in _COMMON:
        raise AccessError("weak_password", "This is one of the passwords everybody tries first.", status=422)
    return plain


class Passwords:
    """Hashes and compares."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Another hasher has other parameters."""
        self._hasher = hasher or default_hasher()
        self._limiter = anyio.CapacityLimiter(_THREADS)
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """What is stored of a password. Raises AccessError (weak_password, busy)."""
        plain = checked_password(password)
        return await self._beside(lambda: self._hasher.hash(plain))

    async def verify(self, stored: str | None, password: str) -> Verified:
        """Whether it is the one that was stored; without one it takes as long and is not. Raises AccessError (busy)."""
        plain = unicodedata.normalize("NFKC", password)
        return await self._beside(lambda: self._verify(stored, plain))

    def _verify(self, stored: str | None, plain: str) -> Verified:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash("nobody's password")
        try:
            self._hasher.verify(stored or self._nobodys, plain)
        except (VerificationError, InvalidHashError):
            return Verified(good=False)
        if stored is None:
            return Verified(good=False)
        rehash = self._hasher.check_needs_rehash(stored)
        return Verified(good=True, rehashed=self._hasher.hash(plain) if rehash else None)

    def check_room(self) -> None:
        """See that there is a place in the line, before anything is counted or asked. Raises AccessError (busy)."""
        if self._waiting >= MOST_WAITING:
            raise AccessError("busy", "Too many people sign in right now: try again.", status=503, retry_after_s=2)

    async def _beside(self, run: Callable[[], T]) -> T:
        self.check_room()
        self._waiting += 1
        try:
            return await anyio.to_thread.run_sync(run, limiter=self._limiter)
        finally:
            self._waiting -= 1
