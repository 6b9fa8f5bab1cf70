"""One house of real processes for all tests of a module: starting it takes longer than any of them."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from redis import Redis

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from tests.conftest import url_of
from tests.hostile.house import SHORT_TIMES, House, open_house


@pytest.fixture(scope="module")
def house(postgres: EmbeddedPostgres, redis_server: EmbeddedRedis, template_database: str) -> Iterator[House]:
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    with (
        a_database(postgres, template_database) as database_url,
        open_house(database_url, redis_server.url, **SHORT_TIMES) as opened,
    ):
        yield opened
        # Whatever was sent, it was nobody's failure but the sender's.
        assert [event for service in opened.services for event in service.logged() if event["level"] == "error"] == []


@contextmanager
def a_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"hostile_{uuid.uuid4().hex}"
    asyncio.run(_execute(server.url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield url_of(server, name)
    finally:
        asyncio.run(_execute(server.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
