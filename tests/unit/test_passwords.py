"""Passwords: what takes time takes it for everybody."""

from typing import Literal

from argon2 import PasswordHasher

from services.api.passwords import Passwords


class CountingHasher(PasswordHasher):
    """Cheap, and counts what it was asked to verify."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


async def test_a_password_fits_its_own_hash_alone() -> None:
    passwords = Passwords(CountingHasher())
    kept = await passwords.hash_of("correct horse")

    assert await passwords.fits(kept, "correct horse")
    assert not await passwords.fits(kept, "Correct horse")
    assert not await passwords.fits("no hash at all", "correct horse")


async def test_where_there_is_no_member_a_hash_is_computed_all_the_same() -> None:
    hasher = CountingHasher()

    assert not await Passwords(hasher).fits(None, "correct horse")
    assert hasher.verified == 1


def test_the_library_hashes_with_argon2id_and_no_less_than_the_rfc_asks_for() -> None:
    made = PasswordHasher().hash("x")

    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
