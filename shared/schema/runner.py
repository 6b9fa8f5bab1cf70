"""Bring a database to this release's schema: numbered SQL files, forward only, one transaction each, under a lock.

Two runners at once do the work once; a database of a newer release is left alone.
"""

import asyncio
import re
from pathlib import Path

import asyncpg
import structlog
from msgspec import Struct

from shared.postgres import Connection

log = structlog.get_logger()

HERE = Path(__file__).parent
SCHEMA_FILE = HERE / "schema.sql"
RIGHTS_FILE = HERE / "rights.sql"
_LOCK = 4712
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(Struct, frozen=True):
    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Every migration in order. Raises `ValueError` for a file whose name is none or a number that is missing."""
    found = []
    for path in sorted((HERE / "migrations").glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.name)
        if named is None:
            raise ValueError(f"not the name of a migration: {path.name}")
        found.append(Migration(int(named[1]), named[2], path.read_text(encoding="utf-8")))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations are numbered 0001, 0002, … without a gap")
    return found


def wanted_version() -> int:
    return len(migrations())


async def migrate(url: str) -> list[str]:
    """Apply what is missing, and grant the services' roles their rights; the names of what was applied."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        present = await present_version(connection)
        applied = [await _apply(connection, migration) for migration in migrations()[present:]]
        if present <= wanted_version():  # a newer release has granted its own
            await _grant_rights(connection)
        return applied
    finally:
        await connection.close()


async def _grant_rights(connection: Connection) -> None:
    """A login that may make no roles migrates all the same: the services then share the owner's login."""
    try:
        async with connection.transaction():
            await connection.execute(RIGHTS_FILE.read_text(encoding="utf-8"))
    except asyncpg.InsufficientPrivilegeError as error:
        log.warning("database_roles_not_made", reason=str(error))


async def _apply(connection: Connection, migration: Migration) -> str:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", migration.version, migration.name
        )
    return f"{migration.version:04d}_{migration.name}"


async def present_version(connection: Connection) -> int:
    """The newest applied migration, 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations"))


async def wait_for_schema(url: str, pause_seconds: float = 0.5) -> None:
    """Return once the database has at least this release's schema. A newer one is right: migrations come first."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        said = False
        while (present := await present_version(connection)) < wanted_version():
            if not said:
                log.warning("schema_awaited", present=present, wanted=wanted_version())
                said = True
            await asyncio.sleep(pause_seconds)
    finally:
        await connection.close()
