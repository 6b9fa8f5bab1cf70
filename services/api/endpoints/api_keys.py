"""`/v1/api-keys`: the keys of a project. A key is shown once, when it is made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import structlog
from msgspec import Meta, Struct
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import audit
from services.api.bodies import read_body
from services.api.context import Context, context_of
from services.api.endpoints.workspaces import Name, PerMinute
from services.api.key_store import find_grant
from services.api.writes.api_keys import ApiKey, NewKey, get_key, limit_key, list_keys, make_key, revoke_key
from services.api.writes.audit_log import Action
from shared.clock import utc_now
from shared.errors import BrokenRule, Conflict, NotFound, TryLater
from shared.filters import YEAR_MAX
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.ids import parse_uuid
from shared.key_directory import publish, withdraw
from shared.keys import Grant, Quota, Scope, hash_of
from shared.postgres import Connection

log = structlog.get_logger()

OVERLAP_SECONDS_MAX = 30 * 86_400


class KeyDraft(Struct, forbid_unknown_fields=True):
    name: Name
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    requests_per_minute: PerMinute | None = None
    scores_per_minute: PerMinute | None = None


class Rotation(Struct, forbid_unknown_fields=True):
    overlap_seconds: Annotated[
        int, Meta(ge=0, le=OVERLAP_SECONDS_MAX, description="How long the old key goes on working.")
    ] = 86_400


class KeyList(Struct):
    items: Sequence[ApiKey]


class ShownKey(Struct):
    """A key just made. `key` is told now and never again."""

    api_key: ApiKey
    key: str


async def list_(request: Request, grant: Grant) -> Response:
    async with context_of(request).reading(grant.project_id) as connection:
        return json_response(KeyList(await list_keys(connection, grant.project_id)))


async def make(request: Request, grant: Grant) -> Response:
    wanted, context = await read_body(request, KeyDraft), context_of(request)
    if wanted.expires_at is not None:
        _check_expiry(wanted.expires_at)
    quota = Quota(requests_per_minute=wanted.requests_per_minute, scores_per_minute=wanted.scores_per_minute)
    async with context.writing(grant.project_id) as connection:
        new = await make_key(connection, grant.project_id, wanted.name, wanted.scopes, wanted.expires_at, quota)
        shown = await _shown(connection, grant, new)
        await audit(connection, request, grant, Action.KEY_MADE, new.id, name=wanted.name, scopes=wanted.scopes)
    await _publish(context, hash_of(new.secret))
    return json_response(shown, 201)


async def rotate(request: Request, grant: Grant) -> Response:
    """A new key like the old one, which goes on working for a while: senders change over one by one."""
    wanted, context = await read_body(request, Rotation), context_of(request)
    async with context.writing(grant.project_id) as connection:
        old = await _usable(connection, request, grant)
        quota = Quota(requests_per_minute=old.requests_per_minute, scores_per_minute=old.scores_per_minute)
        new = await make_key(connection, grant.project_id, old.name, old.scopes, old.expires_at, quota)
        old_hash = await limit_key(connection, grant.project_id, old.id, wanted.overlap_seconds)
        shown = await _shown(connection, grant, new)
        await audit(connection, request, grant, Action.KEY_ROTATED, old.id, new_key=str(new.id))
    await _publish(context, hash_of(new.secret))
    await _publish(context, old_hash)
    return json_response(shown, 201)


async def revoke(request: Request, grant: Grant) -> Response:
    context, key_id = context_of(request), parse_uuid(request.path_params["id"])
    async with context.writing(grant.project_id) as connection:
        key_hash = await revoke_key(connection, grant.project_id, key_id) if key_id else None
        if key_hash is None:
            raise _no_key()
        await audit(connection, request, grant, Action.KEY_REVOKED, key_id)
    await _publish(context, key_hash)
    return Response(status_code=204)


def _check_expiry(expires_at: datetime) -> None:
    if expires_at.year > YEAR_MAX:
        raise BrokenRule(
            f"It may expire in the year {YEAR_MAX} at the latest.", code="invalid_body", pointer="/expires_at"
        )
    if expires_at <= utc_now():
        raise BrokenRule("That is over already.", code="invalid_body", pointer="/expires_at")


async def _usable(connection: Connection, request: Request, grant: Grant) -> ApiKey:
    """The key of the path. Raises `NotFound`, or `Conflict` when it is revoked or expired."""
    key_id = parse_uuid(request.path_params["id"])
    key = await get_key(connection, grant.project_id, key_id) if key_id else None
    if key is None:
        raise _no_key()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= utc_now()):
        raise Conflict("This key is revoked or has expired: make a new one.", code="key_over")
    return key


async def _shown(connection: Connection, grant: Grant, new: NewKey) -> ShownKey:
    key = await get_key(connection, grant.project_id, new.id)
    assert key is not None
    return ShownKey(key, new.secret)


async def _publish(context: Context, key_hash: bytes) -> None:
    """Tell ingest at once. Where that fails, the worker's schedule does it some seconds later; the key is good, and who
    made it must be told it."""
    try:
        async with context.accounts() as connection:
            grant = await find_grant(connection, key_hash)
        await (withdraw(context.redis, key_hash) if grant is None else publish(context.redis, key_hash, grant))
    except (RedisError, OSError, TryLater) as error:
        log.warning("key_left_to_schedule", reason=type(error).__name__)


def _no_key() -> NotFound:
    return NotFound("There is no such key.")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/api-keys",
        handler=list_,
        needs=Scope.ADMIN,
        tag="API keys",
        summary="List the keys of the project, newest first",
        description="With their first characters, never the keys. Revoked ones stay in the list.",
        answers={200: KeyList},
        problems=(401, 403, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/api-keys",
        handler=make,
        needs=Scope.ADMIN,
        tag="API keys",
        summary="Make a key",
        description="The key is in the answer, and nowhere else ever again.",
        body=KeyDraft,
        answers={201: ShownKey},
        problems=(400, 401, 403, 413, 415, 422, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/api-keys/{id}/rotate",
        handler=rotate,
        needs=Scope.ADMIN,
        tag="API keys",
        summary="Make a new key in place of one that goes on working for a while",
        body=Rotation,
        answers={201: ShownKey},
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/api-keys/{id}",
        handler=revoke,
        needs=Scope.ADMIN,
        tag="API keys",
        summary="Revoke a key",
        description="It stops everywhere within 10 seconds.",
        answers={204: None},
        problems=(401, 403, 404, 503),
    ),
)
