"""A release expands the schema before its services start, and contracts it when the release before is gone."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from shared.schema import runner
from shared.schema.runner import MIGRATIONS, migrate, migrations, present_version, wanted_version

LAST = len(migrations())


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The migrations of a release to come: it renames a column, in two steps."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    add(folder, "expand", "ALTER TABLE workspaces ADD COLUMN made_at timestamptz")
    add(folder, "contract", "ALTER TABLE workspaces DROP COLUMN created_at", post=True)
    return folder


def add(folder: Path, name: str, sql: str, *, post: bool = False) -> None:
    number = len(migrations(folder)) + 1
    (folder / f"{number:04d}_{name}{'.post' if post else ''}.sql").write_text(sql)


async def columns(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = 'workspaces'")
    await connection.close()
    return {row["column_name"] for row in rows} & {"created_at", "made_at"}


async def version(url: str) -> int:
    connection = await asyncpg.connect(url)
    present = await present_version(connection)
    await connection.close()
    return present


async def test_what_contracts_waits_until_it_is_asked_for(bare_database_url: str, release: Path) -> None:
    await migrate(bare_database_url, folder=release)
    assert await columns(bare_database_url) == {"created_at", "made_at"}

    applied = await migrate(bare_database_url, post=True, folder=release)

    assert applied == [f"{LAST + 2:04d}_contract"]
    assert await columns(bare_database_url) == {"made_at"}


async def test_services_do_not_wait_for_what_contracts(bare_database_url: str, release: Path) -> None:
    await migrate(bare_database_url, folder=release)

    assert await version(bare_database_url) == wanted_version(release) == LAST + 1


async def test_what_a_release_left_behind_is_applied_before_the_next_one_expands(
    bare_database_url: str, release: Path
) -> None:
    await migrate(bare_database_url, folder=release)
    add(
        release, "expand_again", "ALTER TABLE workspaces ADD COLUMN created_at date"
    )  # only free once the old one is gone

    applied = await migrate(bare_database_url, folder=release)

    assert applied == [f"{LAST + 2:04d}_contract", f"{LAST + 3:04d}_expand_again"]


async def test_both_kinds_twice_apply_nothing_the_second_time(bare_database_url: str, release: Path) -> None:
    await migrate(bare_database_url, post=True, folder=release)

    assert await migrate(bare_database_url, folder=release) == []
    assert await migrate(bare_database_url, post=True, folder=release) == []


async def test_a_migration_that_fails_leaves_nothing_of_itself(bare_database_url: str, release: Path) -> None:
    add(release, "fails", "ALTER TABLE workspaces ADD COLUMN created_at text; SELECT 1 / 0", post=True)

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(bare_database_url, post=True, folder=release)

    assert await version(bare_database_url) == LAST + 2
    assert await columns(bare_database_url) == {"made_at"}


async def test_a_migration_that_waits_for_a_lock_lets_the_others_pass_and_tries_again(
    bare_database_url: str, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOCK_WAIT_MS", 20)
    monkeypatch.setattr(runner, "ATTEMPT_PAUSE_SECONDS", 0.2)
    await migrate(bare_database_url)
    reader, other = [await asyncpg.connect(bare_database_url) for _ in range(2)]
    async with reader.transaction():
        await reader.execute("SELECT FROM workspaces")
        migrating = asyncio.create_task(migrate(bare_database_url, folder=release))
        for _ in range(20):  # each of them would wait for ever behind a migration that waits for the reader
            await asyncio.wait_for(other.execute("SELECT FROM workspaces"), 10)
            await asyncio.wait({migrating}, timeout=0.02)
        assert not migrating.done()

    assert await migrating == [f"{LAST + 1:04d}_expand"]
    for connection in (reader, other):
        await connection.close()


@pytest.mark.parametrize("name", ["0099_gap.sql", "9_short.sql", "0006_a.pre.sql", "0006-dash.sql"])
def test_a_wrong_name_is_refused(release: Path, name: str) -> None:
    (release / name).write_text("SELECT 1")

    with pytest.raises(ValueError, match="migration"):
        migrations(release)
