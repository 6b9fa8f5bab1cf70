"""Fill every table, so that the planner cares: most rows are of one project, and of its workspace."""

import asyncpg

from tests.stack import Project

_SCORES = """
INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, span_id, source, author,
    environment, metadata, scored_at, received_at)
SELECT
    CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, 's' || n, n, 'name' || n % 20, 'NUMERIC', n % 100,
    't' || n / 10, 'p' || n / 5, 'SDK', 'rater' || n % 7, 'default', jsonb_build_object('lang', 'de'),
    '2025-06-01Z'::timestamptz - n * interval '3 minutes', '2025-06-01Z'
FROM generate_series(1, 50000) AS n
"""
_BATCHES = """
INSERT INTO batches (project_id, batch_id, received_at, stored, replaced, unchanged, rejected, done_at)
SELECT CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, '1-' || n || '-0', now(), 1, 0, 0, 1,
    now() - (30000 - n) * interval '15 seconds'
FROM generate_series(1, 30000) AS n
"""
_REJECTED = """
INSERT INTO rejected_scores (project_id, batch_id, index, score_id, name, code, pointer, detail, original, request_id,
    received_at, rejected_at)
SELECT CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, '1-' || n || '-0', 0, 'r' || n, 'name' || n % 20,
    'above_maximum', '/value', 'detail', '{"name": "name3", "value": 7, "trace_id": "t1"}', 'r',
    '2025-06-01Z'::timestamptz - n * interval '3 minutes', '2025-06-01Z'::timestamptz - n * interval '3 minutes'
FROM generate_series(1, 30000) AS n
"""
_OTHERS = (
    """
    INSERT INTO score_tombstones (project_id, id, version)
    SELECT $1, 'gone' || n, 1 FROM generate_series(1, 10000) AS n
    """,
    """
    INSERT INTO jobs (project_id, kind, state, arguments, created_at, finished_at)
    SELECT $1, 'delete_scores', 'done', '{}', now() - n * interval '1 minute', now() - n * interval '1 minute'
    FROM generate_series(1, 5000) AS n
    """,
    """
    INSERT INTO members (email, name, password_hash)
    SELECT 'member' || n || '@example.org', 'm', 'none' FROM generate_series(1, 5000) AS n WHERE $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO workspaces (slug, name)
    SELECT 'w' || n, 'w' FROM generate_series(1, 5000) AS n WHERE $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO projects (workspace_id, slug, name)
    SELECT id, 'p', 'p' FROM workspaces WHERE slug LIKE 'w%' AND $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO workspace_members (workspace_id, member_id, role)
    SELECT w.id, m.id, 'owner'
    FROM workspaces AS w JOIN members AS m ON m.email = 'member' || substr(w.slug, 2) || '@example.org'
    WHERE $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO member_sessions (hash, member_id, expires_at, user_agent, address)
    SELECT sha256(email::bytea), id, now() + interval '1 hour', 'a', 'a' FROM members WHERE $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO invitations (workspace_id, email, role, hash, expires_at)
    SELECT id, slug || '@example.org', 'member', sha256(slug::bytea), now() + interval '1 hour'
    FROM workspaces WHERE $1::uuid IS NOT NULL
    """,
    """
    INSERT INTO api_keys (project_id, name, prefix, hash, scopes)
    SELECT id, 'k', 'p', sha256(id::text::bytea), '{admin}' FROM projects WHERE id <> $1
    """,
    """
    INSERT INTO score_configs (project_id, name, data_type)
    SELECT id, 'c', 'NUMERIC' FROM projects WHERE id <> $1
    """,
    """
    INSERT INTO score_config_versions (config_id, version, data_type, enforcement)
    SELECT id, 1, 'NUMERIC', 'reject' FROM score_configs WHERE project_id <> $1
    """,
    """
    INSERT INTO audit_log (id, workspace_id, project_id, action, actor_kind, at)
    SELECT gen_random_uuid(), p.workspace_id, p.id, 'score_deleted', 'operator', now() - n * interval '1 minute'
    FROM projects AS p CROSS JOIN generate_series(1, 5000) AS n
    WHERE p.id = $1
    """,
)


async def fill(url: str, project: Project) -> None:
    """And look at what is there, as autovacuum does in time."""
    connection = await asyncpg.connect(url)
    for statement in (_SCORES, _BATCHES, _REJECTED, *_OTHERS):
        await connection.execute(statement, project.id)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
