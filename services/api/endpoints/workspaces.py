"""`/v1/workspaces`: workspaces, their projects, and the quotas of those."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import audit, audit_in_project
from services.api.bodies import read_body
from services.api.callers import Membership, SignedIn
from services.api.changes import changes_of
from services.api.context import context_of
from services.api.writes.audit_log import Action
from services.api.writes.workspaces import (
    ProjectRow,
    WorkspaceRow,
    insert_project,
    list_projects,
    list_workspaces,
    rename_workspace,
    update_project,
)
from shared.access import Role, Standing
from shared.errors import NotFound
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.ids import parse_uuid

# "$" alone would let a line break stand at the end.
Slug = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}(?!\n)$", description="For addresses; it does not change.")
]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
PerMinute = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class WorkspaceList(Struct):
    items: Sequence[WorkspaceRow]


class ProjectList(Struct):
    items: Sequence[ProjectRow]


class WorkspaceChange(Struct, forbid_unknown_fields=True):
    name: Name


class ProjectDraft(Struct, forbid_unknown_fields=True):
    slug: Slug
    name: Name


class QuotaChange(Struct, forbid_unknown_fields=True):
    """What is left out stays; null lifts a quota."""

    name: Name | UnsetType = UNSET
    requests_per_minute: PerMinute | UnsetType | None = UNSET
    scores_per_minute: PerMinute | UnsetType | None = UNSET


async def list_(request: Request, caller: SignedIn) -> Response:
    async with context_of(request).accounts() as connection:
        return json_response(WorkspaceList(await list_workspaces(connection, caller.member_id)))


async def rename(request: Request, caller: Membership) -> Response:
    wanted = await read_body(request, WorkspaceChange)
    async with context_of(request).accounts() as connection:
        await rename_workspace(connection, caller.workspace_id, wanted.name)
        await audit(connection, request, caller, Action.WORKSPACE_CHANGED, caller.workspace_id, name=wanted.name)
    return Response(status_code=204)


async def list_its_projects(request: Request, caller: Membership) -> Response:
    async with context_of(request).accounts() as connection:
        return json_response(ProjectList(await list_projects(connection, caller.workspace_id)))


async def make_project(request: Request, caller: Membership) -> Response:
    wanted = await read_body(request, ProjectDraft)
    async with context_of(request).accounts() as connection:
        project = await insert_project(connection, caller.workspace_id, wanted.slug, wanted.name)
        await audit_in_project(connection, request, caller, Action.PROJECT_MADE, project.id, slug=project.slug)
    return json_response(project, 201)


async def change_project(request: Request, caller: Membership) -> Response:
    """Quotas are the workspace's to set: a project's own key could lift them."""
    changes = changes_of(await read_body(request, QuotaChange))
    project_id, project = parse_uuid(request.path_params["project_id"]), None
    async with context_of(request).accounts() as connection:
        if project_id is not None:
            project = await update_project(connection, caller.workspace_id, project_id, changes)
        if project is None:
            raise NotFound("There is no such project.")
        await audit_in_project(connection, request, caller, Action.PROJECT_CHANGED, project.id, **changes)
    return json_response(project)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/workspaces",
        handler=list_,
        needs=Standing.SIGNED_IN,
        tag="Workspaces",
        summary="List the workspaces of the member",
        answers={200: WorkspaceList},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/workspaces/{workspace_id}",
        handler=rename,
        needs=Role.ADMIN,
        tag="Workspaces",
        summary="Rename a workspace",
        body=WorkspaceChange,
        answers={204: None},
        problems=(400, 401, 403, 404, 413, 415, 422, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/workspaces/{workspace_id}/projects",
        handler=list_its_projects,
        needs=Role.VIEWER,
        tag="Workspaces",
        summary="List the projects of a workspace",
        answers={200: ProjectList},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/workspaces/{workspace_id}/projects",
        handler=make_project,
        needs=Role.ADMIN,
        tag="Workspaces",
        summary="Make a project",
        body=ProjectDraft,
        answers={201: ProjectRow},
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/workspaces/{workspace_id}/projects/{project_id}",
        handler=change_project,
        needs=Role.ADMIN,
        tag="Workspaces",
        summary="Rename a project, or change its quotas",
        description="A quota is in force everywhere within 10 seconds.",
        body=QuotaChange,
        answers={200: ProjectRow},
        problems=(400, 401, 403, 404, 413, 415, 422, 503),
    ),
)
