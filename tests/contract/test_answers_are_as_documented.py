"""A walk through every endpoint of both services: each answer is what the OpenAPI document promises."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from argon2 import PasswordHasher

from services.api.writes.members import set_password
from shared.access import Role
from tests.accounts import SignedInMember, a_member
from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.contract.documents import API, INGEST, Operation, assert_documented, operations_of
from tests.stack import Stack, running_worker
from tests.waiting import wait_until


@dataclass
class Walker:
    """Sends requests as the stack's project; each answer is held against the document, and remembered."""

    stack: Stack
    answered: dict[Operation, set[int]] = field(default_factory=dict)

    async def ask(
        self,
        label: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        by: SignedInMember | None = None,
        **ids: str,
    ) -> Any:
        """`label` is the method and the path of the document; `ids` fill the path. Returns the body of the answer."""
        method, path = label.split(" ")
        answer = await self.stack.api.request(
            method,
            path.format(**{name: quote(text, safe="") for name, text in ids.items()}),
            params=query,
            headers=by.headers if by else self.stack.project.headers,
            json=body,
        )
        assert_documented(API, (method, path), answer)
        self.answered.setdefault((method, path), set()).add(answer.status_code)
        return answer.json() if answer.content else None


@pytest.fixture
async def walker(stack: Stack) -> AsyncIterator[Walker]:
    async with running_worker(stack.database_url, stack.redis_url, worker_roles="jobs"):
        yield Walker(stack)


async def scores_of_every_kind(stack: Stack) -> str:
    """Some configs, scores of every data type and target, some of them rejected; the batch id."""
    receipt = await stack.store(
        a_score(
            id="number", value=0.5, comment="c", metadata={"lang": "de"}, author="judge", span_id="s1", trace_id="t1"
        ),
        a_score(
            id="number/2", value=0.75, source="HUMAN", environment="staging", timestamp="2025-03-01T10:00:00+01:00"
        ),
        a_score(id="text", name="safety", value="safe", session_id="c1"),
        a_score(id="truth", name="thumbs", value=True, user_id="u1"),
        a_score(id="marked", name="lenient", value=7),
        a_score(id="too much", value=7),
        a_score(id="unknown", name="safety", value="perhaps"),
    )
    batch_id: str = receipt["batch_id"]
    return batch_id


async def walk_configs(walker: Walker) -> None:
    made = await walker.ask("POST /v1/score-configs", body=a_numeric_config(max_value=1))
    await walker.ask("POST /v1/score-configs", body=a_categorical_config())
    await walker.ask("POST /v1/score-configs", body=a_numeric_config(name="lenient", enforcement="warn"))
    await walker.ask("POST /v1/score-configs", body=a_numeric_config())
    await walker.ask("POST /v1/score-configs", body=a_numeric_config(min_value=9))
    await walker.ask("GET /v1/score-configs", query={"include_archived": "true"})
    await walker.ask("GET /v1/score-configs", query={"name": "relevance"})
    await walker.ask("GET /v1/score-configs/{id}", id=made["id"])
    await walker.ask("GET /v1/score-configs/{id}", id="nothing")
    await walker.ask("GET /v1/score-templates")
    await walker.ask("POST /v1/score-templates/adopt", body={"names": ["relevance", "toxicity", "satisfaction"]})
    await walker.ask("PATCH /v1/score-configs/{id}", id=made["id"], body={"description": "How relevant."})
    await walker.ask("PATCH /v1/score-configs/{id}", id=made["id"], body={"max_value": -1})


async def walk_archive(walker: Walker) -> None:
    [config] = (await walker.ask("GET /v1/score-configs", query={"name": "toxicity"}))["items"]
    await walker.ask("POST /v1/score-configs/{id}/archive", id=config["id"])
    await walker.ask("PATCH /v1/score-configs/{id}", id=config["id"], body={"max_value": 2})
    await walker.ask("POST /v1/score-configs/{id}/restore", id=config["id"])
    await walker.ask("POST /v1/score-configs/{id}/check", id=config["id"], body={"max_value": 0.5})


async def walk_scores(walker: Walker) -> None:
    page = await walker.ask("GET /v1/scores", query={"limit": "2"})
    await walker.ask("GET /v1/scores", query={"limit": "2", "cursor": page["next_cursor"]})
    await walker.ask("GET /v1/scores", query={"order": "asc", "metadata.lang": "de", "min_value": "0"})
    await walker.ask("GET /v1/scores", query={"limit": "0"})
    for score_id in ("number", "number/2", "text", "truth", "marked", "too much", "nothing"):
        await walker.ask("GET /v1/scores/{id}", id=score_id)
    await walker.ask("GET /v1/traces/{trace_id}/scores", trace_id="t1")
    await walker.ask("GET /v1/traces/{trace_id}/spans/{span_id}/scores", trace_id="t1", span_id="s1")
    await walker.ask("POST /v1/traces/scores", body={"trace_ids": ["t1", "nothing"]})
    await walker.ask("POST /v1/traces/scores", body={"trace_ids": []})


async def walk_statistics(walker: Walker) -> None:
    await walker.ask("GET /v1/scores/aggregate")
    await walker.ask("GET /v1/scores/aggregate", query={"group_by": "source,metadata.lang", "percentiles": "false"})
    await walker.ask("GET /v1/scores/histogram", query={"name": "relevance", "bins": "3"})
    await walker.ask("GET /v1/scores/histogram", query={"name": "relevance", "edges": "0,0.6"})
    await walker.ask("GET /v1/scores/histogram", query={"name": "nothing"})
    await walker.ask("GET /v1/scores/histogram")
    names = {"name": ["relevance", "safety", "thumbs", "nothing"]}
    await walker.ask("GET /v1/scores/trends", query={**names, "days": "2", "timezone": "Asia/Kolkata"})
    await walker.ask("GET /v1/scores/trends", query={**names, "granularity": "month", "group_by": "environment"})


async def walk_rejected(walker: Walker, batch_id: str) -> None:
    await walker.ask("GET /v1/batches/{batch_id}", batch_id=batch_id)
    await walker.ask("GET /v1/batches/{batch_id}", batch_id="0-0-0")
    await walker.ask("GET /v1/rejected-scores/counts")
    page = await walker.ask("GET /v1/rejected-scores", query={"limit": "1"})
    await walker.ask("GET /v1/rejected-scores", query={"cursor": page["next_cursor"]})
    first = page["items"][0]["id"]
    await walker.ask("GET /v1/rejected-scores/{id}", id=first)
    await walker.ask("GET /v1/rejected-scores/{id}", id="nothing")
    await walker.ask("POST /v1/rejected-scores/{id}/replay", id=first)
    await walker.ask("POST /v1/rejected-scores/replay", body={"dry_run": True})
    await walker.ask("POST /v1/rejected-scores/replay", body={"filter": {"code": ["above_maximum"]}})
    await walker.ask("DELETE /v1/rejected-scores/{id}", id=first)
    await walker.ask("POST /v1/rejected-scores/delete", body={"dry_run": True})
    await walker.ask("POST /v1/rejected-scores/delete", body={})


async def walk_deletes(walker: Walker) -> None:
    await walker.ask("POST /v1/scores/delete", body={"ids": ["text"], "dry_run": True})
    await walker.ask("POST /v1/scores/delete", body={})
    job = await walker.ask("POST /v1/scores/delete", body={"ids": ["text"]})
    await walker.ask("GET /v1/jobs/{id}", id=job["id"], query={"wait": "10"})
    await walker.ask("GET /v1/jobs/{id}", id="nothing")
    await walker.ask("GET /v1/jobs")
    await walker.ask("DELETE /v1/scores/{id}", id="number")
    await walker.ask("DELETE /v1/scores/{id}", id="nothing")


async def walk_project(walker: Walker) -> None:
    await walker.ask("GET /v1/project")
    await walker.ask("PATCH /v1/project", body={"retention_days": 30})
    await walker.ask("PATCH /v1/project", body={"retention_days": None})
    await walker.ask("PATCH /v1/project", body={"retention_days": 0})


async def walk_keys(walker: Walker) -> None:
    made = await walker.ask("POST /v1/api-keys", body={"name": "n", "scopes": ["scores:read"]})
    await walker.ask("POST /v1/api-keys", body={"name": "n", "scopes": []})
    await walker.ask("GET /v1/api-keys")
    await walker.ask("POST /v1/api-keys/{id}/rotate", id=made["api_key"]["id"], body={})
    await walker.ask("POST /v1/api-keys/{id}/rotate", id="nothing", body={})
    await walker.ask("DELETE /v1/api-keys/{id}", id=made["api_key"]["id"])
    await walker.ask("POST /v1/api-keys/{id}/rotate", id=made["api_key"]["id"], body={})
    await walker.ask("GET /v1/audit-log", query={"action": "key_made"})


async def walk_workspace(walker: Walker, owner: SignedInMember) -> None:
    here: dict[str, Any] = {"by": owner, "workspace_id": str(owner.workspace_id)}
    path = "/v1/workspaces/{workspace_id}"
    await walker.ask("GET /v1/workspaces", by=owner)
    await walker.ask("GET /v1/workspaces")
    await walker.ask(f"PATCH {path}", body={"name": "Other"}, **here)
    await walker.ask(f"GET {path}/projects", **here)
    made = await walker.ask(f"POST {path}/projects", body={"slug": "new", "name": "New"}, **here)
    await walker.ask(f"POST {path}/projects", body={"slug": "new", "name": "New"}, **here)
    await walker.ask(f"PATCH {path}/projects/{{project_id}}", body={"name": "N"}, project_id=made["id"], **here)
    await walker.ask(f"GET {path}/audit-log", **here)


async def walk_members(walker: Walker, owner: SignedInMember) -> None:
    here: dict[str, Any] = {"by": owner, "workspace_id": str(owner.workspace_id)}
    path = "/v1/workspaces/{workspace_id}"
    invitation = {"email": "new@example.org", "role": "viewer"}
    first = await walker.ask(f"POST {path}/invitations", body=invitation, **here)
    await walker.ask(f"GET {path}/invitations", **here)
    gone = first["invitation"]["id"]
    await walker.ask(f"DELETE {path}/invitations/{{invitation_id}}", invitation_id=gone, **here)
    token = (await walker.ask(f"POST {path}/invitations", body=invitation, **here))["token"]
    await walker.ask("POST /v1/invitations/accept", body={"token": token, "password": "correct horse battery"})
    await walker.ask("POST /v1/invitations/accept", body={"token": token, "password": "correct horse battery"})
    members = (await walker.ask(f"GET {path}/members", **here))["items"]
    [new] = [member["id"] for member in members if member["email"] == "new@example.org"]
    await walker.ask(f"PATCH {path}/members/{{member_id}}", member_id=new, body={"role": "admin"}, **here)
    await walker.ask(f"PATCH {path}/members/{{member_id}}", member_id=str(owner.id), body={"role": "admin"}, **here)
    await walker.ask(f"DELETE {path}/members/{{member_id}}", member_id=new, **here)


async def walk_session(walker: Walker) -> None:
    owner = await a_member(walker.stack, Role.OWNER)
    async with walker.stack.connection() as connection:
        await set_password(connection, owner.id, PasswordHasher().hash("correct horse battery"))
    await walker.ask("POST /v1/session", body={"email": owner.email, "password": "correct horse battery"})
    await walker.ask("POST /v1/session", body={"email": owner.email, "password": "wrong"})
    await walker.ask("GET /v1/session", by=owner)
    await walker.ask("GET /v1/sessions", by=owner)
    passwords = {"current_password": "correct horse battery", "new_password": "another long password"}
    await walker.ask("POST /v1/password", body=passwords, by=owner)
    await walker.ask("DELETE /v1/session", by=await a_member(walker.stack, Role.OWNER))
    await walker.ask("DELETE /v1/sessions", by=await a_member(walker.stack, Role.OWNER))
    await walker.ask("GET /v1/sessions", by=owner)


async def test_every_answer_of_the_api_is_as_documented(walker: Walker) -> None:
    await walk_configs(walker)
    batch_id = await scores_of_every_kind(walker.stack)
    await walk_archive(walker)
    await walk_scores(walker)
    await walk_statistics(walker)
    await walk_rejected(walker, batch_id)
    await walk_deletes(walker)
    await walk_project(walker)
    await walk_keys(walker)
    owner = await a_member(walker.stack, Role.OWNER)
    await walk_workspace(walker, owner)
    await walk_members(walker, owner)
    await walk_session(walker)

    walked = {operation for operation, answers in walker.answered.items() if min(answers) < 300}
    assert walked == operations_of(API), "an endpoint that nobody walks through"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"scores":[{"trace_id":"t","name":"n","value":1}]}', {}, 202),
        (b'{"scores":[{"trace_id":"t","name":"n","value":1},{"id":"x"}]}', {}, 207), (b'{"scores":[7]}', {}, 422),
        (b"", {}, 400), (b"", {"authorization": "Basic x"}, 401), (b"", {"content-type": "text/plain"}, 415),
        (b'{"scores":[' + b"0," * 1000 + b"0]}", {}, 413),
    ],
    ids=["good", "partial", "bad", "no json", "no key", "no type of ours", "too many"],
)  # fmt: skip
async def test_every_answer_of_ingest_is_as_documented(
    stack: Stack, content: bytes, headers: dict[str, str], status: int
) -> None:
    said = {"authorization": f"Bearer {stack.project.key}"} | headers

    answer = await stack.ingest.post("/v1/scores", content=content, headers=said)

    assert answer.status_code == status
    assert_documented(INGEST, ("POST", "/v1/scores"), answer)


@pytest.mark.parametrize(
    "path", ["/v1/scores", "/v1/scores/aggregate", "/v1/traces/t/scores", "/v1/scores/trends?name=n"]
)
async def test_reads_say_up_to_when_they_are_complete(stack: Stack, path: str) -> None:
    async def headers() -> httpx.Headers | None:
        found = (await stack.read(path) if "?" not in path else await stack.read("/v1/scores/trends", name="n")).headers
        return found if "assay-complete-through" in found else None

    found = await wait_until(headers, what="the queue to be looked at once")

    assert found is not None
    assert found["assay-complete-through"].endswith("Z")
