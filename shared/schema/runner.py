"""Bring a database to this release's schema: numbered SQL files, forward only, one transaction each, under a lock.

Two runners at once do the work once; a database of a newer release is left alone.

A release expands the schema before its services start, and contracts it when the services of the release before are
gone. What contracts has a name that ends in `.post.sql`, and comes last in its release: `migrate` stops before it.
Everything else goes by number. So a post migration that an earlier release left behind is applied on the way.
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
MIGRATIONS = HERE / "migrations"
LOCK_WAIT_MS = 2000
ATTEMPTS_MAX = 60
ATTEMPT_PAUSE_SECONDS = 1.0
_LOCK = 4712
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+?)(\.post)?\.sql")


class Migration(Struct, frozen=True):
    """`is_post`: it waits until no service of the release before runs any more."""

    version: int
    name: str
    is_post: bool
    sql: str


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """Every migration in order. Raises `ValueError` for a file whose name is none or a number that is missing."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.name)
        if named is None:
            raise ValueError(f"not the name of a migration: {path.name}")
        sql = path.read_text(encoding="utf-8")
        found.append(Migration(int(named[1]), named[2], is_post=named[3] is not None, sql=sql))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations are numbered 0001, 0002, … without a gap")
    return found


def wanted_version(folder: Path = MIGRATIONS) -> int:
    """What this release's services need: the last migration that is not a post one."""
    return max((one.version for one in migrations(folder) if not one.is_post), default=0)


async def migrate(url: str, *, post: bool = False, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what this release's services need, with `post` also what must wait until the release before is gone, and
    grant the services' roles their rights; the names of what was applied."""
    known = migrations(folder)
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        present = await present_version(connection)
        wanted = len(known) if post else wanted_version(folder)
        applied = [await _apply(connection, migration) for migration in known[present:wanted]]
        if present <= len(known):  # a newer release has granted its own
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
    """Beside services that are busy. Behind a migration that waits for a lock, everything else waits too: so it waits
    for a short time only, and tries again."""
    name = f"{migration.version:04d}_{migration.name}"
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            await _apply_once(connection, migration)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            log.warning("migration_tried_again", migration=name, reason=type(error).__name__)
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS)
        else:
            return name
    await _apply_once(connection, migration)
    return name


async def _apply_once(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", migration.version, migration.name
        )


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
