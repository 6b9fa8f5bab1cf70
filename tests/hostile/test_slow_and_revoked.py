"""Who was let in and takes long to send is asked again: a key may be revoked meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from shared.keys import Scope
from tests.contract.problems import assert_problem
from tests.stack import Project, Stack

PAUSE_SECONDS = 5.0  # longer than a known key is trusted without asking, and an admission taken for granted


async def a_key(stack: Stack) -> tuple[str, Project]:
    made = (await stack.post("/v1/api-keys", {"name": "n", "scopes": list(Scope)})).json()
    return made["api_key"]["id"], Project(stack.project.id, made["key"], stack.project.workspace_id)


async def revoked_on_the_way(stack: Stack, key_id: str, body: bytes) -> AsyncIterator[bytes]:
    yield body[:1]
    await stack.api.delete(f"/v1/api-keys/{key_id}", headers=stack.project.headers)
    await asyncio.sleep(PAUSE_SECONDS)
    yield body[1:]


async def test_a_key_that_is_revoked_while_it_sends_makes_no_other_key(stack: Stack) -> None:
    key_id, project = await a_key(stack)
    body = msgspec.json.encode({"name": "another", "scopes": list(Scope)})

    answer = await stack.api.post(
        "/v1/api-keys",
        content=revoked_on_the_way(stack, key_id, body),
        headers=project.headers | {"Content-Type": "application/json"},
    )

    assert_problem(answer, 401, "unknown_key")
