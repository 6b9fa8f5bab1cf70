"""What a managed PostgreSQL gives is enough: an owner of the database who is no superuser."""

from collections.abc import Iterator

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from shared.schema.logins import make_login
from shared.schema.runner import migrate, migrations


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of its own: roles belong to the whole server."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("managed"), durable=False) as server:
        yield server


async def owner(server: EmbeddedPostgres, name: str, attributes: str = "") -> str:
    """The address of a new database for a new login that owns it."""
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' {attributes}")
    await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    await connection.close()
    return f"postgresql://{name}:x@127.0.0.1:{server.port}/{name}"


async def test_an_owner_who_may_make_no_roles_migrates(managed: EmbeddedPostgres) -> None:
    url = await owner(managed, "plain")

    assert len(await migrate(url)) == len(migrations())


async def test_the_logins_need_an_owner_who_may_make_roles_and_passes_row_level_security(
    managed: EmbeddedPostgres,
) -> None:
    url = await owner(managed, "maker", "CREATEROLE")
    await migrate(url)

    await make_login(url, "api_1", "x", "assay_api")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await make_login(url, "worker_1", "x", "assay_worker")

    connection = await asyncpg.connect(managed.url)
    await connection.execute("ALTER ROLE maker BYPASSRLS")
    await connection.close()
    await make_login(url, "worker_1", "x", "assay_worker")
