"""`/v1/audit-log` and `/v1/workspaces/{workspace_id}/audit-log`: who did what."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.callers import Membership
from services.api.context import context_of, query_of
from services.api.cursors import read_audit_cursor, write_audit_cursor
from services.api.params import window
from services.api.writes.audit_log import (
    Action,
    AuditedAction,
    AuditPosition,
    Page,
    entries_of_project,
    entries_of_workspace,
)
from shared.access import Role
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.keys import Grant, Scope

LIMIT_MAX = 1000
_PARAMETERS = (
    Parameter("action", Action, "Only what was done so.", repeatable=True),
    Parameter("from", datetime, "Only from this time on (RFC 3339 with offset)."),
    Parameter("to", datetime, "Only before this time (RFC 3339 with offset)."),
    Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many at the most; 50 unless told."),
    Parameter("cursor", str, "`next_cursor` of the page before."),
)


class AuditList(Struct):
    items: Sequence[AuditedAction]
    next_cursor: str | None


async def of_project(request: Request, grant: Grant) -> Response:
    page = _page(request)
    async with context_of(request).reading(grant.project_id) as connection:
        return _answer(page, await entries_of_project(connection, grant.project_id, page))


async def of_workspace(request: Request, caller: Membership) -> Response:
    page = _page(request)
    async with context_of(request).accounts() as connection:
        return _answer(page, await entries_of_workspace(connection, caller.workspace_id, page))


def _page(request: Request) -> Page:
    query = query_of(request)
    limit = query.whole_number("limit", 1, LIMIT_MAX, 50)
    actions = query.words("action", Action)
    since, until = window(query)
    cursor = query.cursor()
    query.done()
    before = None if cursor is None else read_audit_cursor(cursor)
    return Page(limit=limit, actions=actions, since=since, until=until, before=before)


def _answer(page: Page, found: Sequence[AuditedAction]) -> Response:
    """One more than the page was asked for: it says whether there is a next one."""
    shown, next_cursor = found[: page.limit], None
    if len(found) > page.limit:
        next_cursor = write_audit_cursor(AuditPosition(shown[-1].at, shown[-1].id))
    return json_response(AuditList(shown, next_cursor))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/audit-log",
        handler=of_project,
        needs=Scope.ADMIN,
        tag="Audit log",
        summary="What was done in the project, newest first",
        query=_PARAMETERS,
        answers={200: AuditList},
        problems=(400, 401, 403, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/workspaces/{workspace_id}/audit-log",
        handler=of_workspace,
        needs=Role.ADMIN,
        tag="Audit log",
        summary="What was done in the workspace and its projects, newest first",
        query=_PARAMETERS,
        answers={200: AuditList},
        problems=(400, 401, 403, 404, 503),
    ),
)
