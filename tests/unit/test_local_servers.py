"""The embedded servers by themselves: they keep what they confirmed, where it was, and shut others out."""

import stat
from pathlib import Path

import asyncpg
import pytest
import redis

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import wait_until
from deploy.local.redis import EmbeddedRedis


async def execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_postgres_finds_its_data_again_at_the_same_address(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "my data", durable=False) as first:
        url = first.url
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    with EmbeddedPostgres(tmp_path / "my data", durable=False) as second:
        assert second.url == url
        assert await execute(url, "SELECT answer FROM kept") == 42


async def test_postgres_starts_again_after_it_was_killed(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False).start()
    server.process.kill()

    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as again:
        assert await execute(again.url, "SELECT 1") == 1


async def test_postgres_promises_durability_unless_told_otherwise(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        names = "fsync", "synchronous_commit", "full_page_writes"
        assert [await execute(server.url, f"SHOW {name}") for name in names] == ["on", "on", "on"]
        assert await execute(server.url, "SHOW timezone") == "UTC"


async def test_postgres_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url, password="wrong")
        assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600


def test_redis_keeps_what_it_confirmed_even_when_it_is_killed(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "my data").start()
    with redis.Redis.from_url(server.url) as connection:
        connection.set("kept", "yes")
    server.process.kill()

    with EmbeddedRedis(tmp_path / "my data") as again, redis.Redis.from_url(again.url) as connection:
        assert again.url == server.url
        assert connection.get("kept") == b"yes"


def test_redis_writes_before_it_answers_and_never_evicts(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as connection:
        settings = connection.config_get("*")

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == ""


def test_redis_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis", durable=False) as server:
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert stat.S_IMODE((server.folder / "redis.conf").stat().st_mode) == 0o600


def test_a_leftover_redis_of_the_same_folder_is_stopped_first(tmp_path: Path) -> None:
    leftover = EmbeddedRedis(tmp_path / "redis").start()

    with EmbeddedRedis(tmp_path / "redis") as server:
        assert wait_until(lambda: not leftover.process.is_running(), 5)
        assert server.is_ready()
