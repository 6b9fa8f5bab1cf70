"""`/v1/project`: the project of the key, and how long it keeps its scores."""

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import audit
from services.api.bodies import read_body
from services.api.changes import changes_of
from services.api.context import context_of
from services.api.writes.audit_log import Action
from services.api.writes.projects import Project, get_project, set_retention
from shared.errors import NotFound
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.keys import Grant, Scope


class ProjectChange(Struct, forbid_unknown_fields=True):
    """What is left out stays."""

    retention_days: (
        Annotated[
            Annotated[int, Meta(ge=1, le=36_500)] | None,
            Meta(description="Scores made longer ago than this are deleted; null keeps them for ever."),
        ]
        | UnsetType
    ) = UNSET


async def get(request: Request, grant: Grant) -> Response:
    async with context_of(request).reading(grant.project_id) as connection:
        project = await get_project(connection, grant.project_id)
    return json_response(_found(project, grant.project_id))


async def update(request: Request, grant: Grant) -> Response:
    change = await read_body(request, ProjectChange)
    async with context_of(request).writing(grant.project_id) as connection:
        if change.retention_days is not UNSET:
            await set_retention(connection, grant.project_id, change.retention_days)
        await audit(connection, request, grant, Action.PROJECT_CHANGED, grant.project_id, **changes_of(change))
        project = await get_project(connection, grant.project_id)
    return json_response(_found(project, grant.project_id))


def _found(project: Project | None, project_id: UUID) -> Project:
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    return project


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/project",
        handler=get,
        needs=Scope.SCORES_READ,
        tag="Project",
        summary="The project of the key",
        answers={200: Project},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/project",
        handler=update,
        needs=Scope.ADMIN,
        tag="Project",
        summary="Change how long the project keeps its scores",
        body=ProjectChange,
        answers={200: Project},
        problems=(400, 401, 403, 404, 413, 415, 422, 503),
    ),
)
