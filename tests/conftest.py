"""Real servers for the tests: one Postgres and one Redis for the run, a database of its own for each test."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from io import TextIOWrapper
from pathlib import Path

import asyncpg
import pytest
import structlog
from redis import Redis

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from shared.logs import configure_logs
from shared.schema.runner import migrate
from tests.leaks import WATCH
from tests.logins import make_logins
from tests.stack import Project, Stack, make_project, open_stack, running_worker

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "real"
TEMPLATE = "assay_template"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.get_closest_marker("xdist_group"):  # what a module has opened, one process uses to the end
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    if REAL_DATA.is_dir():
        return
    absent = pytest.mark.skip(reason="the real data set is not beside the checkout (../shared/data/real)")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(absent)


@pytest.fixture(scope="session")
def own_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the parts in this process log, in the form in which they do in production."""
    path = tmp_path_factory.mktemp("log") / "tests.log"
    with path.open("ab") as log:
        configure_logs("tests", "json")
        structlog.configure(logger_factory=structlog.BytesLoggerFactory(log))
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler:
                handler.setStream(TextIOWrapper(log, write_through=True))
        yield path


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(own_log: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    begin = own_log.stat().st_size
    yield
    with own_log.open("rb") as log:
        log.seek(begin)
        logged = log.read()
    print(logged.decode(errors="replace"), end="")  # shown where the test fails
    WATCH.search(logged, request.node.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if WATCH.logs:
        terminalreporter.write_line(f"{WATCH.logs} logs, {WATCH.size / 1e6:.1f} MB, searched for secrets")


@pytest.fixture(scope="session")
def real_data() -> Path:
    return REAL_DATA


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    """A migrated database that each test's own is copied from."""
    asyncio.run(_execute(postgres.url, f"CREATE DATABASE {TEMPLATE}"))
    asyncio.run(migrate(url_of(postgres, TEMPLATE), post=True))
    asyncio.run(make_logins(url_of(postgres, TEMPLATE)))
    return TEMPLATE


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    """A migrated, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield url_of(postgres, name)
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def bare_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"bare_{uuid.uuid4().hex}"
    await _execute(postgres.url, f"CREATE DATABASE {name}")
    yield url_of(postgres, name)
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """An empty Redis."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
async def project(database_url: str, redis_url: str) -> Project:
    return await make_project(database_url, redis_url)


@pytest.fixture
async def stack(database_url: str, redis_url: str) -> AsyncIterator[Stack]:
    async with open_stack(database_url, redis_url) as opened:
        yield opened


@pytest.fixture
async def stack_with_jobs(database_url: str, redis_url: str) -> AsyncIterator[Stack]:
    """The stack with a worker of the role jobs beside the one that persists."""
    async with (
        open_stack(database_url, redis_url) as opened,
        running_worker(database_url, redis_url, worker_roles="jobs"),
    ):
        yield opened


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


def url_of(server: EmbeddedPostgres, database: str) -> str:
    return server.url.rsplit("/", 1)[0] + f"/{database}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
