"""End the sessions of workers that stopped in the middle of a COPY: frozen, or on a machine that is gone.

PostgreSQL waits for the rest of a COPY as long as the connection looks alive, whatever the statement's limit, and
meanwhile the session holds its projects' locks. A worker that is well sends a COPY in one go.
"""

from shared.postgres import Pool, application_name


async def end_stuck_writers(pool: Pool, stuck_seconds: float) -> int:
    """How many sessions were ended that have stood still for so long. What they had begun is rolled back, and their
    entries are taken over."""
    ended: int = await pool.fetchval(
        """
        SELECT count(pg_terminate_backend(pid))
        FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user AND application_name = $1
            AND state = 'active' AND wait_event = 'ClientRead' AND query_start < now() - $2 * interval '1 second'
        """,
        application_name("worker"),
        stuck_seconds,
    )
    return ended
