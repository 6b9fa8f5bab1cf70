"""Keys as a process knows them."""

from uuid import UUID

import pytest

from shared.errors import NotAuthenticated, QueueUnavailable
from shared.keys import Grant, hash_of
from shared.known_keys import CACHED_KEYS_MAX, KnownKeys

GRANT = Grant(key_id=UUID(int=1), project_id=UUID(int=2), scopes=())


class Directory:
    def __init__(self) -> None:
        self.is_away = False

    async def look_up(self, key_hash: bytes) -> Grant | None:
        if self.is_away:
            raise QueueUnavailable("away")
        return GRANT if key_hash == hash_of("good") else None


async def test_who_tries_many_keys_pushes_out_none_that_is_known() -> None:
    directory = Directory()
    keys = KnownKeys(directory.look_up, known_seconds=0.0)
    await keys.grant_of("good")

    for number in range(CACHED_KEYS_MAX + 10):
        with pytest.raises(NotAuthenticated):
            await keys.grant_of(f"tried {number}")
    directory.is_away = True

    assert await keys.grant_of("good") == GRANT


async def test_an_unknown_key_is_not_good_because_nobody_can_be_asked() -> None:
    directory = Directory()
    keys = KnownKeys(directory.look_up, known_seconds=0.0)
    directory.is_away = True

    with pytest.raises(QueueUnavailable):
        await keys.grant_of("never seen")
