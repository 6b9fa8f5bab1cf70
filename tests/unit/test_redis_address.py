"""`REDIS_URL` is understood, or refused without a word of what it says."""

import pytest
from redis.asyncio.connection import parse_url

from shared.redis_address import BadAddress, RedisAddress, read_address


@pytest.mark.parametrize(
    "text",
    [
        "redis://localhost", "redis://localhost:6379/0", "rediss://user:secret@redis.example:6380/3?ssl_cert_reqs=none",
        "redis://:p%40ss@[::1]:6379", "redis://:p@ss@localhost/", "unix:///run/redis.sock?db=1",
    ],
)  # fmt: skip
def test_the_address_of_one_redis_is_taken_as_it_is(text: str) -> None:
    assert read_address(text) == RedisAddress(text)


def test_sentinels_and_the_name_of_the_master_are_read() -> None:
    address = read_address("redis+sentinel://a.example:26380,b.example,[::1]:5/assay")

    assert address.sentinels == (("a.example", 26380), ("b.example", 26379), ("::1", 5))
    assert address.name == "assay"


def test_how_to_speak_with_the_master_is_left_to_redis_py() -> None:
    address = read_address("rediss+sentinel://user:p%40ss@a,b/assay/3?ssl_cert_reqs=none&sentinel_password=x")

    options = parse_url(address.url)

    assert {name: options.get(name) for name in ("username", "password", "db", "sentinel_password")} == {
        "username": "user", "password": "p@ss", "db": 3, "sentinel_password": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost:6379", "http://:secret@localhost", "redis://:secret@localhost:port", "redis://:sec/ret@localhost",
        "redis://:secret@localhost/database", "redis://:secret@a,b/0", "redis+sentinel://:secret@a,b",
        "redis+sentinel://:secret@a,b/", "redis+sentinel://:secret@/assay", "redis+sentinel://:secret@a,,b/assay",
        "redis+sentinel://:secret@a:port/assay", "redis+sentinel://:secret@a/assay/database",
        "redis+sentinel://:sec/ret@a/assay/0", "sentinel://:secret@a/assay",
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        read_address(text)

    assert "redis+sentinel://[user:password@]" in str(refusal.value)
    assert "sec" not in str(refusal.value)
