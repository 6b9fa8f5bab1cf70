"""Servers that a test may break: they keep what they confirmed, and are whole again when the test is over."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from redis import Redis

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from shared.schema.runner import migrate
from tests.chaos.house import Server
from tests.faults.house import House, open_house
from tests.logins import make_logins

TEMPLATE = "breakable_template"


@pytest.fixture(scope="session")
def the_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("postgres", EmbeddedPostgres(tmp_path_factory.mktemp("breakable") / "postgres")).start()
    asyncio.run(execute(server.url, f"CREATE DATABASE {TEMPLATE}"))
    asyncio.run(migrate(of_database(server, TEMPLATE), post=True))
    asyncio.run(make_logins(of_database(server, TEMPLATE)))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def the_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("redis", EmbeddedRedis(tmp_path_factory.mktemp("breakable") / "redis")).start()
    yield server
    server.stop()


@pytest.fixture
def breakable_postgres(the_postgres: Server) -> Iterator[Server]:
    yield the_postgres
    make_whole(the_postgres)


@pytest.fixture
def breakable_redis(the_redis: Server) -> Iterator[Server]:
    make_whole(the_redis)
    with Redis.from_url(the_redis.url) as client:
        client.config_set("maxmemory", 0)
        client.flushall()
    yield the_redis
    make_whole(the_redis)


def make_whole(server: Server) -> None:
    if server.exit_code() is None:
        server.thaw()
    else:
        server.start()


@pytest.fixture
async def breakable_database(breakable_postgres: Server) -> AsyncIterator[str]:
    name = f"breakable_{uuid.uuid4().hex}"
    await execute(breakable_postgres.url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield of_database(breakable_postgres, name)
    make_whole(breakable_postgres)
    await execute(breakable_postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def house(breakable_postgres: Server, breakable_redis: Server, breakable_database: str) -> AsyncIterator[House]:
    async with open_house(breakable_postgres, breakable_redis, breakable_database) as opened:
        yield opened
        make_whole(breakable_redis)
        make_whole(breakable_postgres)


def of_database(server: Server, name: str) -> str:
    return server.url.rsplit("/", 1)[0] + f"/{name}"


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
