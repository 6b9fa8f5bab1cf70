"""The audit log: who did what. Entries are only ever added, in the transaction that does what they say."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from shared.ids import uuid7
from shared.postgres import Connection

ActorKind = Literal["member", "api_key", "operator", "stranger"]


class Action(StrEnum):
    """What is told; docs/security.md has the list."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a word
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a word
    INVITATION_MADE = "invitation_made"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    INVITATION_ACCEPTED = "invitation_accepted"
    MEMBER_MADE = "member_made"
    ROLE_CHANGED = "role_changed"
    MEMBER_REMOVED = "member_removed"
    WORKSPACE_MADE = "workspace_made"
    WORKSPACE_CHANGED = "workspace_changed"
    PROJECT_MADE = "project_made"
    PROJECT_CHANGED = "project_changed"
    KEY_MADE = "key_made"
    KEY_ROTATED = "key_rotated"
    KEY_REVOKED = "key_revoked"
    CONFIG_MADE = "config_made"
    CONFIG_CHANGED = "config_changed"
    CONFIG_ARCHIVED = "config_archived"
    CONFIG_RESTORED = "config_restored"
    TEMPLATES_ADOPTED = "templates_adopted"
    SCORE_DELETED = "score_deleted"
    SCORES_DELETED = "scores_deleted"
    REJECTED_REPLAYED = "rejected_scores_replayed"
    REJECTED_DELETED = "rejected_scores_deleted"


class Actor(Struct, frozen=True, kw_only=True):
    """Who did it, and where."""

    kind: ActorKind
    id: UUID | None = None
    workspace_id: UUID | None = None
    project_id: UUID | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One line to be added. `subject` is the id of what it was done to."""

    action: Action
    actor: Actor
    subject: str | None = None
    details: dict[str, Any] = {}
    request_id: str | None = None
    address: str | None = None


class AuditedAction(Struct, frozen=True):
    """One line as it is read. `actor` is the member's address, or the first characters of the key."""

    id: UUID
    at: datetime
    action: Action
    actor_kind: ActorKind
    actor_id: UUID | None
    actor: str | None
    project_id: UUID | None
    subject: str | None
    details: dict[str, Any]
    request_id: str | None
    address: str | None


async def add_entry(connection: Connection, entry: Entry) -> None:
    """What is about a project is about its workspace too."""
    actor = entry.actor
    await connection.execute(
        """
        INSERT INTO audit_log
            (id, workspace_id, project_id, action, actor_kind, actor_id, subject, details, request_id, address)
        VALUES (
            $1, coalesce($2, (SELECT workspace_id FROM projects WHERE id = $3)), $3, $4, $5, $6, $7, $8, $9, $10
        )
        """,
        uuid7(), actor.workspace_id, actor.project_id, entry.action, actor.kind, actor.id, entry.subject,
        msgspec.json.encode(entry.details).decode(), entry.request_id, entry.address,
    )  # fmt: skip


class AuditPosition(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    at: datetime
    id: UUID


class Page(Struct, frozen=True, kw_only=True):
    """Which entries of a list are wanted: newest first, those before `before`. One more than `limit` is read."""

    limit: int
    actions: Sequence[Action] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: AuditPosition | None = None


async def entries_of_workspace(connection: Connection, workspace_id: UUID, page: Page) -> Sequence[AuditedAction]:
    return await _entries(connection, "workspace_id", workspace_id, page)


async def entries_of_project(connection: Connection, project_id: UUID, page: Page) -> Sequence[AuditedAction]:
    return await _entries(connection, "project_id", project_id, page)


async def _entries(
    connection: Connection, owner: Literal["workspace_id", "project_id"], owner_id: UUID, page: Page
) -> Sequence[AuditedAction]:
    at, entry_id = (page.before.at, page.before.id) if page.before else (None, None)
    rows = await connection.fetch(
        f"""
        SELECT
            a.id, a.at, a.action, a.actor_kind, a.actor_id, coalesce(m.email, k.prefix) AS actor, a.project_id,
            a.subject, a.details, a.request_id, a.address
        FROM audit_log AS a
        LEFT JOIN members AS m ON a.actor_kind = 'member' AND m.id = a.actor_id
        LEFT JOIN api_keys AS k ON a.actor_kind = 'api_key' AND k.id = a.actor_id
        WHERE a.{owner} = $1
            AND ($2::timestamptz IS NULL OR (a.at, a.id) < ($2, $3::uuid))
            AND ($4::timestamptz IS NULL OR a.at >= $4)
            AND ($5::timestamptz IS NULL OR a.at < $5)
            AND (cardinality($6::text[]) = 0 OR a.action = ANY ($6))
        ORDER BY a.at DESC, a.id DESC
        LIMIT $7
        """,  # noqa: S608 - one of two words
        owner_id, at, entry_id, page.since, page.until, list(page.actions), page.limit + 1,
    )  # fmt: skip
    return [_audited(dict(row)) for row in rows]


def _audited(fields: dict[str, Any]) -> AuditedAction:
    fields["action"] = Action(fields["action"])
    fields["details"] = msgspec.json.decode(fields["details"])
    return AuditedAction(**fields)
