"""Who is calling, and may they? The one place where the api decides access: what an endpoint needs is in its line of
the table, what a credential brings in `shared.access`."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from starlette.requests import Request

from services.api.callers import Caller, Membership, SignedIn
from services.api.context import PROJECT_PARAMETER, Context
from services.api.session_cookie import refuse_other_origins, session_hash_of
from services.api.writes.member_sessions import find_session
from services.api.writes.members import role_in_project, role_in_workspace
from shared.access import SCOPES_OF, Role, Standing
from shared.errors import Malformed, NotAllowed, NotAuthenticated, NotFound, QueueFull, QueueUnavailable
from shared.http.credentials import has_key, key_of, require
from shared.http.endpoint import Endpoint, Parameter
from shared.http.rate_limits import teller
from shared.ids import parse_uuid
from shared.keys import Grant, Scope
from shared.known_keys import KnownKeys
from shared.postgres import Connection
from shared.quotas import Quotas

COUNT_SECONDS_MAX = 1.0


class Gate:
    def __init__(self, context: Context, keys: KnownKeys, quotas: Quotas) -> None:
        self._context = context
        self._keys = keys
        self._quotas = quotas
        self._idle = timedelta(seconds=context.settings.session_idle_seconds)

    async def admit(self, request: Request, endpoint: Endpoint) -> Caller:
        """The caller, of the kind that the endpoint's need brings: `Grant`, `Membership`, `SignedIn` or None.

        Raises `NotAuthenticated`, `NotAllowed`, `NotFound` for a project or workspace of somebody else, `OverQuota`.
        """
        match endpoint.needs:
            case Standing.ANYONE:
                refuse_other_origins(request)
                return None
            case Standing.SIGNED_IN:
                async with self._context.accounts() as connection:
                    return await self._signed_in(connection, request)
            case Role() as role:
                async with self._context.accounts() as connection:
                    return await self._membership(connection, request, role)
            case Scope() as scope:
                return await self._grant(request, scope)

    async def _grant(self, request: Request, scope: Scope) -> Grant:
        if has_key(request):
            grant = await self._grant_of_key(request)
        else:
            async with self._context.accounts() as connection:
                grant = await self._grant_of_member(connection, request)
        require(grant, scope)
        await self._count(request, grant)
        return grant

    async def _grant_of_key(self, request: Request) -> Grant:
        """A key decides the project; to name another one is an error."""
        grant = await self._keys.grant_of(key_of(request))
        named = _project_named(request)
        if named is not None and named != grant.project_id:
            raise _no_project()
        return grant

    async def _grant_of_member(self, connection: Connection, request: Request) -> Grant:
        signed_in = await self._signed_in(connection, request)
        project_id = _project_named(request)
        if project_id is None:
            raise Malformed("Say which project: project_id=…", code="project_needed", pointer=PROJECT_PARAMETER)
        role = await role_in_project(connection, project_id, signed_in.member_id)
        if role is None:
            raise _no_project()
        return Grant(member_id=signed_in.member_id, project_id=project_id, scopes=SCOPES_OF[role])

    async def _membership(self, connection: Connection, request: Request, needed: Role) -> Membership:
        signed_in = await self._signed_in(connection, request)
        workspace_id = parse_uuid(request.path_params["workspace_id"])
        if workspace_id is None:
            raise _no_workspace()
        role = await role_in_workspace(connection, workspace_id, signed_in.member_id)
        if role is None:
            raise _no_workspace()
        if not role.reaches(needed):
            raise NotAllowed(f"This needs the role {needed} in the workspace.", code="missing_role")
        return Membership(signed_in, workspace_id, role)

    async def _signed_in(self, connection: Connection, request: Request) -> SignedIn:
        if has_key(request):
            raise NotAllowed("This is for signed-in members, not for API keys.", code="members_only")
        session_hash = session_hash_of(request, self._context.settings)
        if session_hash is None:
            raise NotAuthenticated("An API key or a session is needed.")
        found = await find_session(connection, session_hash, self._idle)
        if found is None:
            raise NotAuthenticated("The session is over: sign in again.", code="session_over")
        refuse_other_origins(request)
        return found

    async def _count(self, request: Request, grant: Grant) -> None:
        """Reads need no Redis: while it is away, full, or stands still, nothing is counted."""
        with suppress(QueueUnavailable, QueueFull, TimeoutError):
            async with asyncio.timeout(COUNT_SECONDS_MAX):
                await self._quotas.take_request(grant, teller(request))


def documented(endpoint: Endpoint) -> Endpoint:
    """With the parameter and the refusals that admission to a project brings."""
    if not isinstance(endpoint.needs, Scope):
        return endpoint
    problems = sorted({*endpoint.problems, 400, 404, 429})
    return replace(endpoint, query=(*endpoint.query, _PROJECT), problems=problems)


_PROJECT = Parameter(PROJECT_PARAMETER, UUID, "The project: needed with a session; a key knows its own.")


def _project_named(request: Request) -> UUID | None:
    named = request.query_params.getlist(PROJECT_PARAMETER)
    if not named:
        return None
    project_id = parse_uuid(named[0])
    if project_id is None or len(named) > 1:
        raise _no_project()
    return project_id


def _no_workspace() -> NotFound:
    return NotFound("There is no such workspace.")


def _no_project() -> NotFound:
    return NotFound("There is no such project.", pointer=PROJECT_PARAMETER)
