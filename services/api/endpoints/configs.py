"""`/v1/score-configs`: list, get, create, update, archive, restore. `/v1/score-templates`: list, adopt."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import audit
from services.api.bodies import read_body
from services.api.context import context_of, query_of
from services.api.queries.config_check import RuleCheck, check_rule
from services.api.queries.configs import get_config, list_configs
from services.api.templates import TEMPLATES
from services.api.writes.audit_log import Action
from services.api.writes.configs import Draft, insert_config, set_archived, update_config
from shared.configs import CONFIG_NAME_PATTERN, Enforcement, ScoreConfig, fault_of_rule
from shared.errors import BrokenRule, Conflict, NotFound
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.ids import parse_uuid
from shared.keys import Grant, Scope
from shared.scores import NAME_LENGTH_MAX, DataType

Description = Annotated[str, Meta(max_length=500)]
Bound = Annotated[float | None, Meta(description="Inclusive; null leaves this end open.")]


class ConfigDraft(Struct, forbid_unknown_fields=True, kw_only=True):
    """A NUMERIC config names both bounds (null for an open end), a CATEGORICAL one its categories."""

    name: Annotated[str, Meta(pattern=CONFIG_NAME_PATTERN, max_length=NAME_LENGTH_MAX)]
    data_type: DataType
    description: Description | None = None
    min_value: Bound | UnsetType = UNSET
    max_value: Bound | UnsetType = UNSET
    categories: tuple[str, ...] | None = None
    higher_is_better: bool | None = None
    enforcement: Enforcement = Enforcement.REJECT


class ConfigChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays. Name and data type can't change: archive the config and create another."""

    description: Description | UnsetType | None = UNSET
    min_value: Bound | UnsetType = UNSET
    max_value: Bound | UnsetType = UNSET
    categories: tuple[str, ...] | UnsetType | None = UNSET
    higher_is_better: bool | UnsetType | None = UNSET
    enforcement: Enforcement | UnsetType = UNSET


class ConfigList(Struct):
    items: Sequence[ScoreConfig]


class Template(Struct, kw_only=True):
    """A built-in config."""

    name: str
    data_type: DataType
    description: str | None
    min_value: float | None
    max_value: float | None
    categories: tuple[str, ...] | None
    higher_is_better: bool | None


class TemplateList(Struct):
    items: Sequence[Template]


class Adoption(Struct, forbid_unknown_fields=True):
    """Which templates to adopt; null or left out: all."""

    names: list[str] | None = None


class Adopted(Struct):
    """The configs made, and the names that already had an active config and were left alone."""

    adopted: Sequence[ScoreConfig]
    skipped: Sequence[str]


async def list_(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    names = tuple(query.all("name"))
    include_archived = query.flag("include_archived", default=False)
    query.done()
    async with context_of(request).reading(grant.project_id) as connection:
        items = await list_configs(connection, grant.project_id, names=names, include_archived=include_archived)
    return json_response(ConfigList(items))


async def get(request: Request, grant: Grant) -> Response:
    async with context_of(request).reading(grant.project_id) as connection:
        config = await get_config(connection, grant.project_id, _config_id(request))
    if config is None:
        raise NotFound("There is no such score config.")
    return json_response(config)


async def create(request: Request, grant: Grant) -> Response:
    wanted = await read_body(request, ConfigDraft)
    draft = _draft(wanted)
    async with context_of(request).writing(grant.project_id) as connection:
        config = await insert_config(connection, grant.project_id, draft)
        await audit(connection, request, grant, Action.CONFIG_MADE, config.id, name=config.name)
    return json_response(config, 201, {"Location": f"/v1/score-configs/{config.id}"})


async def update(request: Request, grant: Grant) -> Response:
    change = await read_body(request, ConfigChange)
    async with context_of(request).writing(grant.project_id) as connection:
        config = await get_config(connection, grant.project_id, _config_id(request), for_update=True)
        if config is None:
            raise NotFound("There is no such score config.")
        if config.is_archived:
            raise Conflict("The score config is archived: restore it first.", code="config_archived")
        changed = _changed(config, change)
        if changed != config:
            changed = await update_config(connection, changed)
            await audit(connection, request, grant, Action.CONFIG_CHANGED, config.id, version=changed.version)
    return json_response(changed)


async def check(request: Request, grant: Grant) -> Response:
    change = await read_body(request, ConfigChange)
    async with context_of(request).reading(grant.project_id) as connection:
        config = await get_config(connection, grant.project_id, _config_id(request))
        if config is None:
            raise NotFound("There is no such score config.")
        proposed = _changed(config, change)
        return json_response(await check_rule(connection, grant.project_id, proposed))


async def archive(request: Request, grant: Grant) -> Response:
    return await _archived(request, grant, Action.CONFIG_ARCHIVED)


async def restore(request: Request, grant: Grant) -> Response:
    return await _archived(request, grant, Action.CONFIG_RESTORED)


async def _archived(request: Request, grant: Grant, action: Action) -> Response:
    archived = action is Action.CONFIG_ARCHIVED
    async with context_of(request).writing(grant.project_id) as connection:
        config = await set_archived(connection, grant.project_id, _config_id(request), archived=archived)
        await audit(connection, request, grant, action, config.id)
    return json_response(config)


async def list_templates(_request: Request, _grant: Grant) -> Response:
    return json_response(TemplateList([_template(draft) for draft in TEMPLATES]))


async def adopt(request: Request, grant: Grant) -> Response:
    wanted = await read_body(request, Adoption)
    by_name = {draft.name: draft for draft in TEMPLATES}
    names = list(by_name) if wanted.names is None else list(dict.fromkeys(wanted.names))
    for name in names:
        if name not in by_name:
            raise BrokenRule(f"There is no template named {name[:100]!r}.", code="unknown_template", pointer="/names")
    adopted: list[ScoreConfig] = []
    async with context_of(request).writing(grant.project_id) as connection:
        for name in names:
            try:
                adopted.append(await insert_config(connection, grant.project_id, by_name[name]))
            except Conflict:
                continue
        adopted_names = [config.name for config in adopted]
        await audit(connection, request, grant, Action.TEMPLATES_ADOPTED, names=adopted_names)
    made = {config.name for config in adopted}
    return json_response(Adopted(adopted, [name for name in names if name not in made]))


def _config_id(request: Request) -> UUID:
    config_id = parse_uuid(request.path_params["id"])
    if config_id is None:
        raise NotFound("There is no such score config.")
    return config_id


def _draft(wanted: ConfigDraft) -> Draft:
    """Raises `BrokenRule` for what is no rule."""
    if wanted.data_type is DataType.NUMERIC:
        for field, bound in (("min_value", wanted.min_value), ("max_value", wanted.max_value)):
            if bound is UNSET:
                detail = f"A NUMERIC config names {field}; null leaves that end open."
                raise BrokenRule(detail, code="missing_bound", pointer=f"/{field}")
    draft = Draft(
        name=wanted.name,
        data_type=wanted.data_type,
        description=wanted.description,
        min_value=None if wanted.min_value is UNSET else wanted.min_value,
        max_value=None if wanted.max_value is UNSET else wanted.max_value,
        categories=wanted.categories,
        higher_is_better=wanted.higher_is_better,
        enforcement=wanted.enforcement,
    )
    _check_rule(draft.data_type, draft.min_value, draft.max_value, draft.categories)
    return draft


def _changed(config: ScoreConfig, change: ConfigChange) -> ScoreConfig:
    """Raises `BrokenRule` when the change makes it no rule."""
    changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    changed = msgspec.structs.replace(config, **changes)
    _check_rule(changed.data_type, changed.min_value, changed.max_value, changed.categories)
    return changed


def _check_rule(
    data_type: DataType, min_value: float | None, max_value: float | None, categories: tuple[str, ...] | None
) -> None:
    fault = fault_of_rule(data_type, (min_value, max_value), categories)
    if fault is not None:
        raise BrokenRule(f"{fault.detail}.", code=fault.code, pointer=f"/{fault.field}")


def _template(draft: Draft) -> Template:
    fields = msgspec.structs.asdict(draft)
    del fields["enforcement"]
    return Template(**fields)


_READ = (400, 401, 403, 503)
_WRITE = (400, 401, 403, 404, 409, 413, 415, 422, 503)

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/score-configs",
        handler=list_,
        needs=Scope.SCORES_READ,
        tag="Score configs",
        summary="List score configs by name",
        query=(
            Parameter("name", str, "Only configs of this name.", repeatable=True),
            Parameter("include_archived", bool, "true shows archived ones too."),
        ),
        answers={200: ConfigList},
        problems=_READ,
    ),
    Endpoint(
        method="POST",
        path="/v1/score-configs",
        handler=create,
        needs=Scope.CONFIGS_WRITE,
        tag="Score configs",
        summary="Create a score config",
        body=ConfigDraft,
        answers={201: ScoreConfig},
        problems=(400, 401, 403, 409, 413, 415, 422, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/score-configs/{id}",
        handler=get,
        needs=Scope.SCORES_READ,
        tag="Score configs",
        summary="Get a score config",
        answers={200: ScoreConfig},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/score-configs/{id}",
        handler=update,
        needs=Scope.CONFIGS_WRITE,
        tag="Score configs",
        summary="Change a score config",
        description="Makes a new version; stored scores keep the version that judged them.",
        body=ConfigChange,
        answers={200: ScoreConfig},
        problems=_WRITE,
    ),
    Endpoint(
        method="POST",
        path="/v1/score-configs/{id}/check",
        handler=check,
        needs=Scope.SCORES_READ,
        tag="Score configs",
        summary="Check a proposed rule against the stored scores",
        description="A dry run of a change: how many stored scores of the config's name it would refuse, by code, with "
        "examples. Changes nothing.",
        body=ConfigChange,
        answers={200: RuleCheck},
        problems=(400, 401, 403, 404, 413, 415, 422, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/score-configs/{id}/archive",
        handler=archive,
        needs=Scope.CONFIGS_WRITE,
        tag="Score configs",
        summary="Archive a score config",
        description="Its name is free again, and scores that name the config are rejected.",
        answers={200: ScoreConfig},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/score-configs/{id}/restore",
        handler=restore,
        needs=Scope.CONFIGS_WRITE,
        tag="Score configs",
        summary="Restore an archived score config",
        description="409 when its name has another active config by now.",
        answers={200: ScoreConfig},
        problems=(401, 403, 404, 409, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/score-templates",
        handler=list_templates,
        needs=Scope.SCORES_READ,
        tag="Score configs",
        summary="List the score templates",
        answers={200: TemplateList},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/score-templates/adopt",
        handler=adopt,
        needs=Scope.CONFIGS_WRITE,
        tag="Score configs",
        summary="Adopt score templates as score configs",
        body=Adoption,
        answers={200: Adopted},
        problems=(400, 401, 403, 413, 415, 422, 503),
    ),
)
