"""The second line behind `WHERE project_id = $1`: what the logins of the services can't do, whatever they are told."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.postgres import Connection, has_row_security, project_transaction
from tests.builders import a_numeric_config, a_score
from tests.logins import API_LOGIN, WORKER_LOGIN, as_login
from tests.stack import Stack, make_project

TABLES_OF_PROJECTS = (
    "scores", "score_rollups", "batches", "rejected_scores", "score_tombstones", "jobs", "score_configs",
    "score_config_versions",
)  # fmt: skip


async def fill(stack: Stack) -> None:
    """At least a row in each table."""
    await stack.post("/v1/score-configs", a_numeric_config())
    await stack.store(a_score(id="good"), a_score(id="gone"), a_score(id="bad", value=7))
    assert (await stack.api.delete("/v1/scores/gone", headers=stack.project.headers)).status_code == 204
    await stack.post("/v1/scores/delete", {"ids": ["nothing"]})


async def rows_seen(connection: Connection, project_id: UUID | None) -> dict[str, int]:
    if project_id is None:
        return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES_OF_PROJECTS}
    async with project_transaction(connection, project_id, readonly=True):
        return await rows_seen(connection, None)


async def test_every_table_of_a_project_has_a_policy(connection: Connection) -> None:
    """But for those by which the project is found out, and the log that is read by workspace too."""
    rows = await connection.fetch(
        """
        SELECT c.table_name FROM information_schema.columns AS c
        JOIN information_schema.tables AS t USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND c.column_name = 'project_id' AND t.table_type = 'BASE TABLE'
            AND c.table_name NOT IN (SELECT tablename FROM pg_policies)
        """
    )

    assert {row["table_name"] for row in rows} == {"api_keys", "audit_log"}


async def test_a_statement_without_its_project_finds_nothing_of_another_one(stack: Stack) -> None:
    await fill(stack)
    stranger = await make_project(stack.database_url, stack.redis_url, slug="stranger")
    connection = await asyncpg.connect(as_login(stack.database_url, API_LOGIN))

    seen_by_owner = await rows_seen(connection, stack.project.id)
    seen_by_stranger = await rows_seen(connection, stranger.id)
    seen_without = await rows_seen(connection, None)
    await connection.close()

    assert all(seen_by_owner.values()), seen_by_owner
    assert not any(seen_by_stranger.values()), seen_by_stranger
    assert not any(seen_without.values()), seen_without


async def test_a_row_of_another_project_is_neither_written_nor_deleted(stack: Stack) -> None:
    await fill(stack)
    stranger = await make_project(stack.database_url, stack.redis_url, slug="stranger")
    connection = await asyncpg.connect(as_login(stack.database_url, API_LOGIN))

    async with project_transaction(connection, stranger.id, readonly=False):
        assert await connection.execute("DELETE FROM scores") == "DELETE 0"
        assert await connection.execute("UPDATE jobs SET detail = 'mine'") == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with project_transaction(connection, stranger.id, readonly=False):
            await connection.execute(
                "INSERT INTO score_tombstones (project_id, id, version) VALUES ($1, 'x', 1)", stack.project.id
            )
    await connection.close()


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        (API_LOGIN, "UPDATE scores SET name = 'x'"),
        (API_LOGIN, "INSERT INTO scores (project_id, id) VALUES (gen_random_uuid(), 'x')"),
        (API_LOGIN, "DELETE FROM score_rollups"),
        (API_LOGIN, "UPDATE batches SET stored = 0"),
        (API_LOGIN, "TRUNCATE scores"),
        (API_LOGIN, "ALTER TABLE scores DISABLE ROW LEVEL SECURITY"),
        (API_LOGIN, "DROP POLICY own_project ON scores"),
        (API_LOGIN, "DELETE FROM members"),
        (API_LOGIN, "DELETE FROM audit_log"),
        (API_LOGIN, "UPDATE audit_log SET action = 'x'"),
        (API_LOGIN, "INSERT INTO workspaces (slug, name) VALUES ('x', 'x')"),
        (WORKER_LOGIN, "SELECT password_hash FROM members"),
        (WORKER_LOGIN, "SELECT hash FROM member_sessions"),
        (WORKER_LOGIN, "SELECT action FROM audit_log"),
        (WORKER_LOGIN, "UPDATE api_keys SET scopes = '{admin}'"),
        (WORKER_LOGIN, "INSERT INTO score_configs (project_id, name) VALUES (gen_random_uuid(), 'x')"),
        (WORKER_LOGIN, "UPDATE score_rollups SET count = 0"),
        (WORKER_LOGIN, "TRUNCATE scores"),
    ],
)
async def test_a_service_has_no_rights_beyond_its_work(database_url: str, login: str, statement: str) -> None:
    connection = await asyncpg.connect(as_login(database_url, login))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_the_api_can_tell_whether_its_login_is_held_to_its_project(database_url: str) -> None:
    async with (
        asyncpg.create_pool(as_login(database_url, API_LOGIN), min_size=0) as held,
        asyncpg.create_pool(database_url, min_size=0) as free,
    ):
        assert await has_row_security(held)
        assert not await has_row_security(free)


async def test_the_audit_log_is_only_added_to_even_by_its_owner(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO audit_log (id, action, actor_kind) VALUES ($1, 'signed_in', 'member')", uuid4()
    )

    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await connection.execute(statement)
