"""Put what a request does into the audit log: who called is known from the caller, from where from the request."""

from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request

from services.api.callers import Caller, Membership, SignedIn
from services.api.writes.audit_log import Action, Actor, Entry, add_entry
from shared.http.request_id import request_id_of
from shared.keys import Grant
from shared.postgres import Connection


async def audit(
    connection: Connection, request: Request, caller: Caller, action: Action, subject: object = None, **details: Any
) -> None:
    """In the transaction that does it. `details` say what, never a secret."""
    await add_entry(connection, entry_of(request, actor_of(caller), action, subject, **details))


async def audit_in_project(
    connection: Connection, request: Request, caller: Membership, action: Action, project_id: UUID, **details: Any
) -> None:
    """What a member of the workspace does to a project is in the log of both."""
    actor = msgspec.structs.replace(actor_of(caller), project_id=project_id)
    await add_entry(connection, entry_of(request, actor, action, project_id, **details))


def entry_of(request: Request, actor: Actor, action: Action, subject: object = None, **details: Any) -> Entry:
    return Entry(
        action=action,
        actor=actor,
        subject=None if subject is None else str(subject),
        details=details,
        request_id=request_id_of(request.scope),
        address=address_of(request),
    )


def actor_of(caller: Caller) -> Actor:
    match caller:
        case Grant(key_id=None):
            return Actor(kind="member", id=caller.member_id, project_id=caller.project_id)
        case Grant():
            return Actor(kind="api_key", id=caller.key_id, project_id=caller.project_id)
        case Membership():
            return Actor(kind="member", id=caller.signed_in.member_id, workspace_id=caller.workspace_id)
        case SignedIn():
            return Actor(kind="member", id=caller.member_id)
        case None:
            return Actor(kind="stranger")


def address_of(request: Request) -> str:
    """Where the request came from; behind a proxy, what the proxy says (docs/operating.md)."""
    return request.client.host if request.client else "unknown"
