"""The first start: a workspace, its owner, an empty project and a demo project, a key for each.

`python -m services.api.setup` makes what is missing and prints it as one JSON object; running it again makes new keys
and a new password for the same projects. `python -m services.api.setup --verify` reads such an object from standard
input and exits with 0 if its projects and keys are in the database.
"""

import asyncio
import os
import secrets
import sys

import asyncpg
import msgspec
from argon2 import PasswordHasher
from msgspec import Struct

from services.api.key_store import find_grant
from services.api.writes.api_keys import make_key
from services.api.writes.audit_log import Action, Actor, Entry, add_entry
from services.api.writes.member_sessions import end_sessions
from services.api.writes.members import make_account, set_password, set_role
from services.api.writes.workspaces import ensure_project, ensure_workspace
from shared.access import Role
from shared.key_directory import publish
from shared.keys import Grant, Scope, hash_of
from shared.postgres import Connection
from shared.redis_address import BadAddress, read_address
from shared.redis_client import open_redis

OWNER_EMAIL = "owner@assay.local"


class FirstStart(Struct):
    """What the first start made."""

    workspace_id: str
    project_id: str
    api_key: str
    email: str
    password: str
    demo_project_id: str
    demo_api_key: str


async def set_up(connection: Connection) -> FirstStart:
    """In one transaction: either all of it is there afterwards or nothing."""
    password = secrets.token_urlsafe(12)
    async with connection.transaction():
        workspace_id = await ensure_workspace(connection, "local", "Local workspace")
        project_id = await ensure_project(connection, workspace_id, "default", "Default project")
        demo_id = await ensure_project(connection, workspace_id, "demo", "Demo (generated data)")
        password_hash = PasswordHasher().hash(password)
        owner_id = await make_account(connection, OWNER_EMAIL, "Owner", password_hash)
        await set_password(connection, owner_id, password_hash)
        await end_sessions(connection, owner_id)
        await set_role(connection, workspace_id, owner_id, Role.OWNER)
        actor = Actor(kind="operator", workspace_id=workspace_id)
        await add_entry(connection, Entry(action=Action.MEMBER_MADE, actor=actor, subject=str(owner_id)))
        key = await make_key(connection, project_id, "local", list(Scope))
        demo_key = await make_key(connection, demo_id, "demo", list(Scope))
    return FirstStart(
        str(workspace_id), str(project_id), key.secret, OWNER_EMAIL, password, str(demo_id), demo_key.secret
    )


async def verify(connection: Connection, known: FirstStart) -> bool:
    """Whether the keys are good for the projects they are said to be for."""
    for key, project_id in ((known.api_key, known.project_id), (known.demo_api_key, known.demo_project_id)):
        grant = await find_grant(connection, hash_of(key))
        if grant is None or str(grant.project_id) != project_id:
            return False
    return True


async def _publish(connection: Connection, redis_url: str, made: FirstStart) -> None:
    """So that ingest knows the keys at once; the worker's schedule would do it a few seconds later."""
    redis = open_redis(redis_url)
    for key in (made.api_key, made.demo_api_key):
        grant: Grant | None = await find_grant(connection, hash_of(key))
        assert grant is not None
        await publish(redis, hash_of(key), grant)
    await redis.aclose()


async def _run(arguments: list[str]) -> int:
    if not arguments:
        read_address(os.environ["REDIS_URL"])  # before anything is made
    connection = await asyncpg.connect(os.environ["DATABASE_URL"], timeout=10)
    try:
        if arguments == ["--verify"]:
            known = msgspec.json.decode(sys.stdin.buffer.read(), type=FirstStart)
            return 0 if await verify(connection, known) else 1
        made = await set_up(connection)
        await _publish(connection, os.environ["REDIS_URL"], made)
    finally:
        await connection.close()
    sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(_run(sys.argv[1:])))
    except BadAddress as error:
        sys.exit(f"setup can't start: REDIS_URL: {error}")
