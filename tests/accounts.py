"""Members for tests: made and signed in directly, for what is not about making them and signing in."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.api.session_cookie import SECURE_NAME, new_token
from services.api.writes.member_sessions import start_session
from services.api.writes.members import make_account, set_role
from shared.access import Role, Standing
from shared.http.endpoint import Endpoint
from shared.keys import Scope, hash_of
from shared.postgres import Connection
from tests.stack import Stack

NO_PASSWORD = "no password fits this"


@dataclass(frozen=True)
class SignedInMember:
    """A member who is signed in."""

    id: UUID
    email: str
    workspace_id: UUID
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": f"{SECURE_NAME}={self.token}"}


async def a_member(
    stack: Stack, role: Role, *, workspace_id: UUID | None = None, email: str | None = None
) -> SignedInMember:
    """Of the workspace of the stack's project, unless told otherwise."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        workspace_id = workspace_id or await workspace_of(connection, stack.project.id)
        email = email or f"{role}@example.org"
        member_id = await make_account(connection, email, role, NO_PASSWORD)
        await set_role(connection, workspace_id, member_id, role)
        token = new_token()
        await start_session(connection, member_id, hash_of(token), timedelta(hours=1), "tests", "127.0.0.1")
        return SignedInMember(member_id, email, workspace_id, token)
    finally:
        await connection.close()


async def workspace_of(connection: Connection, project_id: UUID) -> UUID:
    found: UUID = await connection.fetchval("SELECT workspace_id FROM projects WHERE id = $1", project_id)
    return found


def admitted(stack: Stack, owner: SignedInMember, endpoint: Endpoint) -> dict[str, str]:
    """Headers of one who may use the endpoint: the project's key where that is enough, else an owner's session."""
    match endpoint.needs:
        case Scope():
            return stack.project.headers
        case Standing.ANYONE:
            return {}
        case _:
            return owner.headers
