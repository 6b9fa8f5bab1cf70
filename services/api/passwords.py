"""Passwords: argon2id (RFC 9106) with the library's parameters, beside the event loop and few at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import BrokenRule, TooBusy

P = ParamSpec("P")
T = TypeVar("T")

LENGTH_MIN, LENGTH_MAX = 10, 200
AT_ONCE_MAX = 2  # each takes 64 MiB for as long as it lasts
WAITING_MAX = 50

# Of a password that nobody knows. Checking against it takes as long as against a member's: the time it takes does not
# tell whether there is such a member.
_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$Chh0hONJa9fCZhpyeS7SdQ$1kkRgO5J2YzY/IvcOrnvxPhlL2ymC7Gxyig6o3oVw1w"


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def hash_of(self, password: str) -> str:
        return await self._in_turn(self._hasher.hash, _normal(password))

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Without a hash False, after as long. Raises `TooBusy` where too many wait."""
        fits = await self._in_turn(self._verify, password_hash or _DECOY, _normal(password))
        return fits and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if self._waiting >= WAITING_MAX:
            raise TooBusy("Too many sign-ins at once.")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *arguments, **named)
        finally:
            self._waiting -= 1


def check_password(password: str, *, email: str, pointer: str) -> None:
    """Raises `BrokenRule`. Length is what counts (NIST SP 800-63B): no rules about digits and signs."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise BrokenRule(
            f"A password has {LENGTH_MIN} to {LENGTH_MAX} characters.", code="weak_password", pointer=pointer
        )
    if password.lower() in (email, email.partition("@")[0]) or len(set(password)) < 4:
        raise BrokenRule("This password is too easy to guess.", code="weak_password", pointer=pointer)


def _normal(password: str) -> str:
    """The same password on every keyboard."""
    return unicodedata.normalize("NFKC", password)
