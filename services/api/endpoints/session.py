"""`/v1/session`, `/v1/sessions` and `/v1/password`: signing in and out, and the password of a member."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import address_of, audit, entry_of
from services.api.bodies import read_body
from services.api.callers import SignedIn
from services.api.context import Context, context_of
from services.api.passwords import LENGTH_MAX, check_password
from services.api.session_cookie import clear_cookie, new_token, session_hash_of, set_cookie
from services.api.writes.audit_log import Action, Actor, add_entry
from services.api.writes.member_sessions import (
    SessionRow,
    end_session,
    end_sessions,
    forget_ended_sessions,
    list_sessions,
    start_session,
)
from services.api.writes.members import Account, find_account, has_password, set_password, workspaces_of
from services.api.writes.workspaces import ProjectRow, WorkspaceRow, list_projects, list_workspaces
from shared.access import Role, Standing
from shared.errors import BrokenRule, NotAuthenticated
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.keys import hash_of
from shared.postgres import Connection

EMAIL_LENGTH_MAX = 254

# Printable ASCII: what is large and what is small is the same to everybody, the throttle and the database among them.
Email = Annotated[str, Meta(min_length=3, max_length=EMAIL_LENGTH_MAX, pattern=r"^[!-?A-~]+@[!-?A-~]+(?!\n)$")]
Password = Annotated[str, Meta(min_length=1, max_length=LENGTH_MAX)]


class SignIn(Struct, forbid_unknown_fields=True):
    email: Email
    password: Password


class PasswordChange(Struct, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password


class OwnWorkspace(Struct):
    """A workspace of the member, with its projects."""

    id: UUID
    slug: str
    name: str
    role: Role
    projects: Sequence[ProjectRow]


class Session(Struct):
    """Who is signed in, until when at the latest, and where to."""

    member_id: UUID
    email: str
    name: str
    expires_at: datetime
    workspaces: Sequence[OwnWorkspace]


class SessionList(Struct):
    items: Sequence[SessionRow]


async def sign_in(request: Request, _caller: None) -> Response:
    wanted, context = await read_body(request, SignIn), context_of(request)
    await context.throttle.take(wanted.email, address_of(request))
    async with context.accounts() as connection:
        account = await find_account(connection, wanted.email)
    fits = await context.passwords.fits(account.password_hash if account else None, wanted.password)
    if account is None or not fits:
        await _tell_failure(context, request, account, wanted.email)
        raise _wrong_credentials()
    await context.throttle.forget(wanted.email, address_of(request))
    return await _signed_in_anew(context, request, account)


async def _signed_in_anew(context: Context, request: Request, account: Account) -> Response:
    """A new session each time, never the one that came: nobody can be signed in to a session that another one made."""
    token = new_token()
    async with context.accounts() as connection:
        await _refuse_old_password(connection, account)
        came = session_hash_of(request, context.settings)
        if came is not None:
            await end_session(connection, came)
        signed_in = await _start(context, connection, request, account, token)
        await _tell_everywhere(connection, request, account.id, Action.SIGNED_IN)
        session = await _session(connection, signed_in)
    response = json_response(session)
    set_cookie(response, token, context.settings)
    return response


async def _refuse_old_password(connection: Connection, account: Account) -> None:
    """It takes a while to check one, and it may have been changed or reset meanwhile."""
    if not await has_password(connection, account.id, account.password_hash):
        raise _wrong_credentials()


def _wrong_credentials() -> NotAuthenticated:
    return NotAuthenticated("The address or the password is wrong.", code="wrong_credentials")


async def _start(context: Context, connection: Connection, request: Request, account: Account, token: str) -> SignedIn:
    settings = context.settings
    await forget_ended_sessions(connection, account.id, timedelta(seconds=settings.session_idle_seconds))
    expires_at = await start_session(
        connection,
        account.id,
        hash_of(token),
        timedelta(seconds=settings.session_seconds),
        request.headers.get("user-agent", "").replace("\x00", ""),
        address_of(request),
    )
    return SignedIn(account.id, account.email, account.name, hash_of(token), expires_at)


async def _tell_failure(context: Context, request: Request, account: Account | None, email: str) -> None:
    """To the admins of the member's workspaces; of an address that nobody has, to the operator alone."""
    async with context.accounts() as connection:
        if account is None:
            await audit(connection, request, None, Action.SIGN_IN_FAILED, email=email)
        else:
            await _tell_everywhere(connection, request, account.id, Action.SIGN_IN_FAILED)


async def _tell_everywhere(connection: Connection, request: Request, member_id: UUID, action: Action) -> None:
    """In each workspace of the member."""
    for workspace_id in await workspaces_of(connection, member_id):
        actor = Actor(kind="member", id=member_id, workspace_id=workspace_id)
        await add_entry(connection, entry_of(request, actor, action, member_id))


async def who(request: Request, caller: SignedIn) -> Response:
    async with context_of(request).accounts() as connection:
        return json_response(await _session(connection, caller))


async def _session(connection: Connection, signed_in: SignedIn) -> Session:
    workspaces = [
        _own(workspace, await list_projects(connection, workspace.id))
        for workspace in await list_workspaces(connection, signed_in.member_id)
    ]
    return Session(signed_in.member_id, signed_in.email, signed_in.name, signed_in.expires_at, workspaces)


def _own(workspace: WorkspaceRow, projects: Sequence[ProjectRow]) -> OwnWorkspace:
    return OwnWorkspace(workspace.id, workspace.slug, workspace.name, workspace.role, projects)


async def sign_out(request: Request, caller: SignedIn) -> Response:
    context = context_of(request)
    async with context.accounts() as connection:
        await end_session(connection, caller.session_hash)
        await _tell_everywhere(connection, request, caller.member_id, Action.SIGNED_OUT)
    return _signed_out(context)


async def list_(request: Request, caller: SignedIn) -> Response:
    context = context_of(request)
    idle = timedelta(seconds=context.settings.session_idle_seconds)
    async with context.accounts() as connection:
        return json_response(SessionList(await list_sessions(connection, caller.member_id, caller.session_hash, idle)))


async def sign_out_everywhere(request: Request, caller: SignedIn) -> Response:
    context = context_of(request)
    async with context.accounts() as connection:
        await end_sessions(connection, caller.member_id)
        await _tell_everywhere(connection, request, caller.member_id, Action.SIGNED_OUT_EVERYWHERE)
    return _signed_out(context)


def _signed_out(context: Context) -> Response:
    response = Response(status_code=204)
    clear_cookie(response, context.settings)
    return response


async def change_password(request: Request, caller: SignedIn) -> Response:
    """Whoever else is signed in with the old one is not any more; the cookie that comes back is a new one."""
    wanted, context = await read_body(request, PasswordChange), context_of(request)
    check_password(wanted.new_password, email=caller.email, pointer="/new_password")
    await context.throttle.take(caller.email, address_of(request))
    async with context.accounts() as connection:
        account = await find_account(connection, caller.email)
    if account is None or not await context.passwords.fits(account.password_hash, wanted.current_password):
        await _tell_failure(context, request, account, caller.email)
        raise BrokenRule("That is not your password.", code="wrong_password", pointer="/current_password")
    password_hash, token = await context.passwords.hash_of(wanted.new_password), new_token()
    async with context.accounts() as connection:
        await _refuse_old_password(connection, account)
        await set_password(connection, account.id, password_hash)
        await end_sessions(connection, account.id)
        await _start(context, connection, request, account, token)
        await _tell_everywhere(connection, request, account.id, Action.PASSWORD_CHANGED)
    response = Response(status_code=204)
    set_cookie(response, token, context.settings)
    return response


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/session",
        handler=sign_in,
        needs=Standing.ANYONE,
        tag="Session",
        summary="Sign in",
        description="The answer sets a cookie. A wrong password and an address that nobody has are told apart neither "
        "by the answer nor by the time it takes.",
        body=SignIn,
        answers={200: Session},
        problems=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/session",
        handler=who,
        needs=Standing.SIGNED_IN,
        tag="Session",
        summary="Who is signed in, with their workspaces and projects",
        answers={200: Session},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/session",
        handler=sign_out,
        needs=Standing.SIGNED_IN,
        tag="Session",
        summary="Sign out",
        answers={204: None},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/sessions",
        handler=list_,
        needs=Standing.SIGNED_IN,
        tag="Session",
        summary="List the sessions of the member",
        answers={200: SessionList},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/sessions",
        handler=sign_out_everywhere,
        needs=Standing.SIGNED_IN,
        tag="Session",
        summary="Sign out everywhere",
        answers={204: None},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/password",
        handler=change_password,
        needs=Standing.SIGNED_IN,
        tag="Session",
        summary="Change the password",
        description="Ends every other session of the member.",
        body=PasswordChange,
        answers={204: None},
        problems=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
)
