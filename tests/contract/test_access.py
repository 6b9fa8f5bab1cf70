"""Every endpoint with every credential: each cell of the table in docs/security.md, as the services answer it."""

import httpx
import pytest

from docs.access import CREDENTIALS, OPEN, Credential, answer_to
from services.api.app import ENDPOINTS as API
from services.api.writes.api_keys import make_key
from services.ingest.endpoints import ENDPOINTS as INGEST
from shared.http.endpoint import Endpoint
from shared.key_directory import publish
from shared.keys import Grant, hash_of
from tests.accounts import a_member
from tests.contract.problems import assert_problem
from tests.contract.test_api_access import label_of, path_of
from tests.stack import Stack, make_project

ABOUT_ACCESS = ("There is no such project.", "There is no such workspace.")


def answered(answer: httpx.Response) -> int:
    """The status, if it is about access; else OPEN, also for what is refused for another reason."""
    if answer.status_code >= 400:
        problem = assert_problem(answer, answer.status_code)
        if answer.status_code in (401, 403) or problem["detail"] in ABOUT_ACCESS:
            return answer.status_code
    assert answer.status_code < 500, answer.text
    return OPEN


async def headers_of(stack: Stack, credential: Credential) -> dict[str, str]:
    """New ones each time: some endpoints end the session."""
    if credential.scope is not None:
        return await key_with(stack, credential)
    if credential.role is None:
        return {}
    elsewhere = await make_project(stack.database_url, stack.redis_url, "elsewhere", workspace="elsewhere")
    workspace_id = elsewhere.workspace_id if credential.is_foreign else None
    email = f"{credential.role}@{'elsewhere' if credential.is_foreign else 'here'}.org"
    return (await a_member(stack, credential.role, workspace_id=workspace_id, email=email)).headers


async def key_with(stack: Stack, credential: Credential) -> dict[str, str]:
    assert credential.scope is not None
    async with stack.connection() as connection:
        key = await make_key(connection, stack.project.id, "test", [credential.scope])
    async with stack.redis_client() as redis:
        grant = Grant(key_id=key.id, project_id=stack.project.id, scopes=(credential.scope,))
        await publish(redis, hash_of(key.secret), grant)
    return {"X-API-Key": key.secret}


async def ask(stack: Stack, client: httpx.AsyncClient, endpoint: Endpoint, credential: Credential) -> int:
    headers = await headers_of(stack, credential)
    path = path_of(endpoint, workspace_id=str(stack.project.workspace_id))
    named = {"project_id": str(stack.project.id)} if credential.role is not None else {}
    return answered(await client.request(endpoint.method, path, headers=headers, params=named))


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda one: one.label)
async def test_the_api_answers_as_the_table_says(stack: Stack, credential: Credential) -> None:
    found = {label_of(endpoint): await ask(stack, stack.api, endpoint, credential) for endpoint in API}

    assert found == {label_of(endpoint): answer_to(credential, endpoint) for endpoint in API}


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda one: one.label)
async def test_ingest_answers_as_the_table_says(stack: Stack, credential: Credential) -> None:
    found = [await ask(stack, stack.ingest, endpoint, credential) for endpoint in INGEST]

    assert found == [answer_to(credential, endpoint, knows_members=False) for endpoint in INGEST]
