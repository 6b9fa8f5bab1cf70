"""`python -m services.api.accounts`: workspaces, projects and members, made and reset by the operator of a server
without mail. Needs DATABASE_URL with the login of the tables' owner. What it does is in the audit log.

A password that it makes is printed once, on standard output.
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from argon2 import PasswordHasher

from services.api.endpoints.session import Email
from services.api.writes.audit_log import Action, Actor, Entry, add_entry
from services.api.writes.member_sessions import end_sessions
from services.api.writes.members import (
    Account,
    find_account,
    list_members,
    lock_owners,
    make_account,
    role_in_workspace,
    set_password,
    set_role,
    workspaces_of,
)
from services.api.writes.workspaces import (
    ensure_project,
    ensure_workspace,
    find_workspace,
    list_all_workspaces,
    list_projects,
)
from shared.access import Role
from shared.postgres import Connection


class CannotDo(Exception):
    """What the operator asked for makes no sense; says why."""


async def make_workspace(connection: Connection, slug: str, name: str) -> list[str]:
    is_new = await find_workspace(connection, slug) is None
    workspace_id = await ensure_workspace(connection, slug, name)
    if is_new:
        await _tell(connection, Action.WORKSPACE_MADE, workspace_id, workspace_id)
    return [f"workspace {slug}  {workspace_id}"]


async def make_project(connection: Connection, workspace: str, slug: str, name: str) -> list[str]:
    workspace_id = await _workspace(connection, workspace)
    is_new = slug not in {one.slug for one in await list_projects(connection, workspace_id)}
    project_id = await ensure_project(connection, workspace_id, slug, name)
    if is_new:
        await _tell(connection, Action.PROJECT_MADE, workspace_id, project_id)
    return [f"project {workspace}/{slug}  {project_id}"]


async def make_member(connection: Connection, workspace: str, email: str, role: Role) -> list[str]:
    """One who has an account keeps its password."""
    workspace_id = await _workspace(connection, workspace)
    account, password = await find_account(connection, _address(email)), secrets.token_urlsafe(12)
    member_id = account.id if account else await make_account(connection, email, email, _hash_of(password))
    if role is not Role.OWNER and list(await lock_owners(connection, workspace_id)) == [member_id]:
        raise CannotDo(f"{email} is the last owner of {workspace}: make another one first.")
    was = await role_in_workspace(connection, workspace_id, member_id)
    await set_role(connection, workspace_id, member_id, role)
    action = Action.MEMBER_MADE if was is None else Action.ROLE_CHANGED
    await _tell(connection, action, workspace_id, member_id, role=role, was=was)
    return [f"{role} {email} of {workspace}", *([] if account else [f"password {password}"])]


async def reset(connection: Connection, email: str) -> list[str]:
    """A new password; whoever is signed in with the old one is not any more."""
    account, password = await _account(connection, email), secrets.token_urlsafe(12)
    await set_password(connection, account.id, _hash_of(password))
    ended = await end_sessions(connection, account.id)
    await _tell_everywhere(connection, Action.PASSWORD_RESET, account.id)
    return [f"{email}: {ended} sessions ended", f"password {password}"]


async def sign_out(connection: Connection, email: str) -> list[str]:
    account = await _account(connection, email)
    ended = await end_sessions(connection, account.id)
    await _tell_everywhere(connection, Action.SIGNED_OUT_EVERYWHERE, account.id)
    return [f"{email}: {ended} sessions ended"]


async def list_(connection: Connection) -> list[str]:
    lines = []
    for workspace_id, slug in await list_all_workspaces(connection):
        lines.append(f"workspace {slug}  {workspace_id}")
        lines += [f"  project {one.slug}  {one.id}" for one in await list_projects(connection, workspace_id)]
        lines += [f"  {one.role} {one.email}" for one in await list_members(connection, workspace_id)]
    return lines


async def _workspace(connection: Connection, slug: str) -> UUID:
    found = await find_workspace(connection, slug)
    if found is None:
        raise CannotDo(f"There is no workspace {slug}.")
    return found


async def _account(connection: Connection, email: str) -> Account:
    found = await find_account(connection, email)
    if found is None:
        raise CannotDo(f"There is no member {email}.")
    return found


def _address(email: str) -> str:
    try:
        return msgspec.convert(email, Email)
    except msgspec.ValidationError:
        raise CannotDo(f"{email} is no address.") from None


async def _tell_everywhere(connection: Connection, action: Action, member_id: UUID) -> None:
    """To the admins of each workspace of the member."""
    for workspace_id in await workspaces_of(connection, member_id):
        await _tell(connection, action, workspace_id, member_id)


async def _tell(connection: Connection, action: Action, workspace_id: UUID, subject: UUID, **details: Any) -> None:
    actor = Actor(kind="operator", workspace_id=workspace_id)
    await add_entry(connection, Entry(action=action, actor=actor, subject=str(subject), details=details))


def _hash_of(password: str) -> str:
    return PasswordHasher().hash(password)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.api.accounts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all workspaces with their projects and members")
    workspace = commands.add_parser("workspace", help="make a workspace, unless it is there")
    workspace.add_argument("slug")
    workspace.add_argument("name")
    project = commands.add_parser("project", help="make a project, unless it is there")
    for name in ("workspace", "slug", "name"):
        project.add_argument(name)
    member = commands.add_parser("member", help="make a member, or give one another role")
    member.add_argument("workspace")
    member.add_argument("email")
    member.add_argument("role", type=Role, choices=list(Role))
    for command, text in (("reset", "give a member a new password"), ("sign-out", "end a member's sessions")):
        commands.add_parser(command, help=text).add_argument("email")
    return parser


async def _do(connection: Connection, asked: argparse.Namespace) -> list[str]:
    match asked.command:
        case "workspace":
            return await make_workspace(connection, asked.slug, asked.name)
        case "project":
            return await make_project(connection, asked.workspace, asked.slug, asked.name)
        case "member":
            return await make_member(connection, asked.workspace, asked.email, asked.role)
        case "reset":
            return await reset(connection, asked.email)
        case "sign-out":
            return await sign_out(connection, asked.email)
        case _:
            return await list_(connection)


async def _run(url: str, asked: argparse.Namespace) -> list[str]:
    """All of it or nothing."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction():
            return await _do(connection, asked)
    finally:
        await connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("DATABASE_URL is not set")
    try:
        lines = asyncio.run(_run(url, asked))
    except (CannotDo, OSError, asyncpg.PostgresError) as error:
        sys.exit(f"{error}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
