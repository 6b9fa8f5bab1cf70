"""Make the logins by which the services come to the database: each a member of the role that has its rights."""

from typing import Literal, get_args

import asyncpg

from shared.postgres import Connection

Role = Literal["assay_api", "assay_worker"]
ROLES: tuple[Role, ...] = get_args(Role)


async def make_login(url: str, name: str, password: str, role: Role) -> None:
    """Make the login, or give it this password. Needs one that may make roles; for the worker's, also BYPASSRLS."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction():
            await _make(connection, name, password, role)
    finally:
        await connection.close()


async def _make(connection: Connection, name: str, password: str, role: Role) -> None:
    """COPY, by which the worker writes, knows no row-level security: hence its exemption."""
    known = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name)
    statement = await connection.fetchval(
        "SELECT format('%s ROLE %I LOGIN %s PASSWORD %L', $1::text, $2::text, $3::text, $4::text)",
        "ALTER" if known else "CREATE",
        name,
        "BYPASSRLS" if role == "assay_worker" else "NOBYPASSRLS",
        password,
    )
    await connection.execute(statement)
    await connection.execute(
        await connection.fetchval("SELECT format('GRANT %I TO %I', $1::text, $2::text)", role, name)
    )
