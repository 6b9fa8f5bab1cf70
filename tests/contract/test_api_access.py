"""Every endpoint of a project: no key, one that is not known, expired or revoked is a 401. What a known one may is in
test_access.py."""

import re
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.api.app import ENDPOINTS
from services.api.writes.api_keys import make_key
from shared.clock import utc_now
from shared.http.endpoint import Endpoint
from shared.keys import Scope
from tests.contract.problems import assert_problem
from tests.stack import Stack

Label = str
OF_A_PROJECT = [endpoint for endpoint in ENDPOINTS if isinstance(endpoint.needs, Scope)]


def label_of(endpoint: Endpoint) -> Label:
    return f"{endpoint.method} {endpoint.path}"


def path_of(endpoint: Endpoint, **ids: str) -> str:
    """The endpoint's path with its parameters filled in."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: ids.get(found[1], "x"), endpoint.path)


async def statuses(stack: Stack, headers: dict[str, str]) -> dict[Label, tuple[int, str]]:
    """(status, code) that each endpoint answers to someone with these headers."""
    found = {}
    for endpoint in OF_A_PROJECT:
        answer = await stack.api.request(endpoint.method, path_of(endpoint), headers=headers)
        problem = assert_problem(answer, answer.status_code)
        found[label_of(endpoint)] = (answer.status_code, problem["code"])
    return found


def all_of(status: int, code: str) -> dict[Label, tuple[int, str]]:
    return {label_of(endpoint): (status, code) for endpoint in OF_A_PROJECT}


async def a_key(stack: Stack, **fields: Any) -> dict[str, str]:
    """Headers with a new key of the stack's project."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        key = await make_key(connection, stack.project.id, "test", **fields)
    finally:
        await connection.close()
    return {"X-API-Key": key.secret}


# Strangers ------------------------------------------------------------------------------------------------------------


async def test_without_a_key_every_endpoint_is_a_401(stack: Stack) -> None:
    assert await statuses(stack, {}) == all_of(401, "not_authenticated")


@pytest.mark.parametrize("headers", [{"Authorization": "Basic dTpw"}, {"Authorization": "Bearer "}])
async def test_another_scheme_or_no_key_is_a_401(stack: Stack, headers: dict[str, str]) -> None:
    assert await statuses(stack, headers) == all_of(401, "not_authenticated")


async def test_with_an_unknown_key_every_endpoint_is_a_401(stack: Stack) -> None:
    assert await statuses(stack, {"Authorization": "Bearer assay_unknown"}) == all_of(401, "unknown_key")


async def test_with_an_expired_key_every_endpoint_is_a_401(stack: Stack) -> None:
    headers = await a_key(stack, scopes=list(Scope), expires_at=utc_now() - timedelta(seconds=1))

    assert await statuses(stack, headers) == all_of(401, "expired_key")


async def test_with_a_revoked_key_every_endpoint_is_a_401(stack: Stack) -> None:
    headers = await a_key(stack, scopes=list(Scope))
    await stack.fetch("UPDATE api_keys SET revoked_at = now()")

    assert await statuses(stack, headers) == all_of(401, "unknown_key")
