"""`/v1/workspaces/{workspace_id}/members` and `…/invitations`: who belongs to a workspace, and as what."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import address_of, audit, entry_of
from services.api.bodies import read_body
from services.api.callers import Membership
from services.api.context import Context, context_of
from services.api.endpoints.session import Email, Password
from services.api.passwords import check_password
from services.api.session_cookie import TOKEN_LENGTH_MAX, new_token
from services.api.writes.audit_log import Action, Actor, add_entry
from services.api.writes.invitations import (
    Accepted,
    Invitation,
    find_invitation,
    list_invitations,
    make_invitation,
    use_invitation,
    withdraw_invitation,
)
from services.api.writes.members import (
    Account,
    Member,
    add_member,
    find_account,
    get_member,
    is_member,
    list_members,
    lock_owners,
    make_account,
    remove_member,
    set_role,
)
from shared.access import Role, Standing
from shared.errors import Conflict, NotAllowed, NotFound
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.ids import parse_uuid
from shared.keys import hash_of
from shared.postgres import Connection

INVITATION_LASTS = timedelta(days=7)
JOIN_PATH = "/join"


class MemberList(Struct):
    items: Sequence[Member]


class RoleChange(Struct, forbid_unknown_fields=True):
    role: Role


class InvitationDraft(Struct, forbid_unknown_fields=True):
    email: Email
    role: Role


class InvitationList(Struct):
    items: Sequence[Invitation]


class NewInvitation(Struct):
    """`link` and `token` are told now and never again. Whoever has the link can accept it, once: pass it on to the
    right one. The token stands behind the `#`, so that no server on the way sees it."""

    invitation: Invitation
    link: str
    token: str


class Acceptance(Struct, forbid_unknown_fields=True):
    """For a new account `name` and `password` are those to be; who has an account gives its password, to show that
    it is theirs."""

    token: Annotated[str, Meta(min_length=1, max_length=TOKEN_LENGTH_MAX)]
    password: Password
    name: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class Joined(Struct):
    workspace_id: UUID
    email: str
    role: Role


async def list_(request: Request, caller: Membership) -> Response:
    async with context_of(request).accounts() as connection:
        return json_response(MemberList(await list_members(connection, caller.workspace_id)))


async def change_role(request: Request, caller: Membership) -> Response:
    wanted = await read_body(request, RoleChange)
    async with context_of(request).accounts() as connection:
        member = await _changeable(connection, request, caller, wanted.role)
        await set_role(connection, caller.workspace_id, member.id, wanted.role)
        await audit(connection, request, caller, Action.ROLE_CHANGED, member.id, role=wanted.role, was=member.role)
        changed = await get_member(connection, caller.workspace_id, member.id)
    return json_response(changed)


async def remove(request: Request, caller: Membership) -> Response:
    async with context_of(request).accounts() as connection:
        member = await _changeable(connection, request, caller, None)
        await remove_member(connection, caller.workspace_id, member.id)
        await audit(connection, request, caller, Action.MEMBER_REMOVED, member.id, was=member.role)
    return Response(status_code=204)


async def _changeable(connection: Connection, request: Request, caller: Membership, role: Role | None) -> Member:
    """The member of the path. Raises `NotFound`, `NotAllowed` where it takes an owner, `Conflict` for the last one."""
    owners = await lock_owners(connection, caller.workspace_id)
    member_id = parse_uuid(request.path_params["member_id"])
    member = await get_member(connection, caller.workspace_id, member_id) if member_id else None
    if member is None:
        raise NotFound("There is no such member.")
    if Role.OWNER in (member.role, role):
        _refuse_unless_owner(caller)
    if list(owners) == [member.id] and role is not Role.OWNER:
        raise Conflict("A workspace has at least one owner.", code="last_owner")
    return member


def _refuse_unless_owner(caller: Membership) -> None:
    if caller.role is not Role.OWNER:
        raise NotAllowed("Owners are made, changed and removed by owners.", code="missing_role")


async def invite(request: Request, caller: Membership) -> Response:
    wanted, context, token = await read_body(request, InvitationDraft), context_of(request), new_token()
    if wanted.role is Role.OWNER:
        _refuse_unless_owner(caller)
    async with context.accounts() as connection:
        if await is_member(connection, caller.workspace_id, wanted.email):
            raise Conflict("That is a member of the workspace already.", code="already_member", pointer="/email")
        invitation = await make_invitation(
            connection, caller.workspace_id, wanted.email, wanted.role, hash_of(token), INVITATION_LASTS
        )
        await audit(
            connection, request, caller, Action.INVITATION_MADE, invitation.id, email=invitation.email, role=wanted.role
        )
    return json_response(NewInvitation(invitation, _link(context, request, token), token), 201)


def _link(context: Context, request: Request, token: str) -> str:
    where = context.settings.public_url or str(request.base_url)
    return f"{where.rstrip('/')}{JOIN_PATH}#{token}"


async def list_open_invitations(request: Request, caller: Membership) -> Response:
    async with context_of(request).accounts() as connection:
        return json_response(InvitationList(await list_invitations(connection, caller.workspace_id)))


async def withdraw(request: Request, caller: Membership) -> Response:
    invitation_id = parse_uuid(request.path_params["invitation_id"])
    async with context_of(request).accounts() as connection:
        if not invitation_id or not await withdraw_invitation(connection, caller.workspace_id, invitation_id):
            raise NotFound("There is no such invitation.")
        await audit(connection, request, caller, Action.INVITATION_WITHDRAWN, invitation_id)
    return Response(status_code=204)


async def accept(request: Request, _caller: None) -> Response:
    wanted, context = await read_body(request, Acceptance), context_of(request)
    invitation, account = await _invited(context, request, hash_of(wanted.token))
    await context.throttle.take(invitation.email, address_of(request))
    password_hash = await _password_hash(context, invitation, account, wanted.password)
    await _join(context, request, invitation, wanted.name or invitation.email, password_hash)
    return json_response(Joined(invitation.workspace_id, invitation.email, invitation.role), 201)


async def _invited(context: Context, request: Request, token_hash: bytes) -> tuple[Accepted, Account | None]:
    """The invitation, and the account that is there already. Raises `NotFound`, slowly for who tries many."""
    async with context.accounts() as connection:
        invitation = await find_invitation(connection, token_hash)
        account = await find_account(connection, invitation.email) if invitation else None
    if invitation is None:
        await context.throttle.take("*", address_of(request))
        raise _used_up()
    return invitation, account


async def _password_hash(context: Context, invitation: Accepted, account: Account | None, password: str) -> str:
    """Of a new account's password. Who has an account shows by its password that it is theirs: the link is not enough
    to get into it."""
    if account is None:
        check_password(password, email=invitation.email, pointer="/password")
        return await context.passwords.hash_of(password)
    if not await context.passwords.fits(account.password_hash, password):
        raise NotAllowed("You have an account already: that is not its password.", code="wrong_password")
    return account.password_hash


async def _join(context: Context, request: Request, invitation: Accepted, name: str, password_hash: str) -> None:
    """All of it or nothing; of two who accept at once, one does."""
    async with context.accounts() as connection:
        if not await use_invitation(connection, invitation.id):
            raise _used_up()
        member_id = await make_account(connection, invitation.email, name, password_hash)
        await add_member(connection, invitation.workspace_id, member_id, invitation.role)
        actor = Actor(kind="member", id=member_id, workspace_id=invitation.workspace_id)
        entry = entry_of(request, actor, Action.INVITATION_ACCEPTED, invitation.id, role=invitation.role)
        await add_entry(connection, entry)


def _used_up() -> NotFound:
    return NotFound("This invitation was used, withdrawn, or is too old.", code="invitation_over")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/workspaces/{workspace_id}/members",
        handler=list_,
        needs=Role.VIEWER,
        tag="Members",
        summary="List the members of a workspace",
        answers={200: MemberList},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/workspaces/{workspace_id}/members/{member_id}",
        handler=change_role,
        needs=Role.ADMIN,
        tag="Members",
        summary="Change the role of a member",
        description="Owners are made and changed by owners, and the last one stays.",
        body=RoleChange,
        answers={200: Member},
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/workspaces/{workspace_id}/members/{member_id}",
        handler=remove,
        needs=Role.ADMIN,
        tag="Members",
        summary="Remove a member from a workspace",
        description="What they may do there ends at once. Owners are removed by owners, and the last one stays.",
        answers={204: None},
        problems=(401, 403, 404, 409, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/workspaces/{workspace_id}/invitations",
        handler=list_open_invitations,
        needs=Role.ADMIN,
        tag="Members",
        summary="List the invitations that nobody has accepted yet",
        answers={200: InvitationList},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/workspaces/{workspace_id}/invitations",
        handler=invite,
        needs=Role.ADMIN,
        tag="Members",
        summary="Invite somebody, by a one-time link that is good for seven days",
        description="No mail is sent: pass the link on. An earlier invitation of the same address is withdrawn.",
        body=InvitationDraft,
        answers={201: NewInvitation},
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/workspaces/{workspace_id}/invitations/{invitation_id}",
        handler=withdraw,
        needs=Role.ADMIN,
        tag="Members",
        summary="Withdraw an invitation",
        answers={204: None},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/invitations/accept",
        handler=accept,
        needs=Standing.ANYONE,
        tag="Members",
        summary="Accept an invitation, and make an account where there is none",
        body=Acceptance,
        answers={201: Joined},
        problems=(400, 403, 404, 413, 415, 422, 429, 503),
    ),
)
