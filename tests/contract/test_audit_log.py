"""Who did what: each thing that is done leaves one line, which admins can read and nobody can change."""

from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from services.api.writes.audit_log import Action
from services.api.writes.members import set_password
from shared.access import Role
from tests.accounts import SignedInMember, a_member
from tests.builders import a_numeric_config, a_score
from tests.contract.problems import assert_problem
from tests.stack import Stack, make_project

PASSWORD = "correct horse battery"


@pytest.fixture
async def owner(stack: Stack) -> SignedInMember:
    made = await a_member(stack, Role.OWNER)
    async with stack.connection() as connection:
        await set_password(connection, made.id, PasswordHasher().hash(PASSWORD))
    return made


async def actions(stack: Stack, path: str = "/v1/audit-log", **params: Any) -> list[str]:
    return [line["action"] for line in await stack.items(path, **params)]


async def as_owner(stack: Stack, owner: SignedInMember, method: str, path: str, body: Any = None) -> httpx.Response:
    answer = await stack.api.request(method, path, json=body, headers=owner.headers)
    assert answer.status_code < 300, answer.text
    return answer


async def do_everything_in_a_project(stack: Stack) -> None:
    config = (await stack.post("/v1/score-configs", a_numeric_config())).json()
    await stack.patch(f"/v1/score-configs/{config['id']}", {"max_value": 2})
    await stack.post(f"/v1/score-configs/{config['id']}/archive", None)
    await stack.post(f"/v1/score-configs/{config['id']}/restore", None)
    await stack.post("/v1/score-templates/adopt", {"names": ["toxicity"]})
    await stack.store(a_score(id="a"), a_score(id="b", value=7))
    await stack.api.delete("/v1/scores/a", headers=stack.project.headers)
    await stack.post("/v1/scores/delete", {"ids": ["x"]})
    await stack.post("/v1/rejected-scores/replay", {})
    await stack.post("/v1/rejected-scores/delete", {})
    await stack.patch("/v1/project", {"retention_days": 9})
    key = (await stack.post("/v1/api-keys", {"name": "k", "scopes": ["scores:read"]})).json()["api_key"]["id"]
    await stack.post(f"/v1/api-keys/{key}/rotate", {})
    await stack.api.delete(f"/v1/api-keys/{key}", headers=stack.project.headers)


async def do_everything_in_a_workspace(stack: Stack, owner: SignedInMember) -> None:
    here = f"/v1/workspaces/{owner.workspace_id}"
    await as_owner(stack, owner, "PATCH", here, {"name": "Other"})
    made = (await as_owner(stack, owner, "POST", f"{here}/projects", {"slug": "p", "name": "P"})).json()
    await as_owner(stack, owner, "PATCH", f"{here}/projects/{made['id']}", {"requests_per_minute": 9})
    first = (await as_owner(stack, owner, "POST", f"{here}/invitations", {"email": "a@b.c", "role": "viewer"})).json()
    await as_owner(stack, owner, "DELETE", f"{here}/invitations/{first['invitation']['id']}")
    token = (await as_owner(stack, owner, "POST", f"{here}/invitations", {"email": "a@b.c", "role": "viewer"})).json()
    await stack.api.post("/v1/invitations/accept", json={"token": token["token"], "password": PASSWORD})
    members = (await as_owner(stack, owner, "GET", f"{here}/members")).json()["items"]
    [member_id] = [member["id"] for member in members if member["email"] == "a@b.c"]
    await as_owner(stack, owner, "PATCH", f"{here}/members/{member_id}", {"role": "member"})
    await as_owner(stack, owner, "DELETE", f"{here}/members/{member_id}")


async def sign_in_and_out(stack: Stack, owner: SignedInMember) -> None:
    await stack.api.post("/v1/session", json={"email": owner.email, "password": "wrong"})
    await stack.api.post("/v1/session", json={"email": owner.email, "password": PASSWORD})
    other = await a_member(stack, Role.OWNER)
    await as_owner(stack, other, "DELETE", "/v1/session")
    other = await a_member(stack, Role.OWNER)
    await as_owner(stack, other, "POST", "/v1/password", {"current_password": PASSWORD, "new_password": PASSWORD + "!"})
    other = await a_member(stack, Role.OWNER)
    await as_owner(stack, other, "DELETE", "/v1/sessions")


async def test_whatever_is_done_is_told(stack_with_jobs: Stack, owner: SignedInMember) -> None:
    await do_everything_in_a_project(stack_with_jobs)
    of_project = await actions(stack_with_jobs)
    await do_everything_in_a_workspace(stack_with_jobs, owner)
    await sign_in_and_out(stack_with_jobs, owner)

    reader = await a_member(stack_with_jobs, Role.ADMIN)
    path = f"/v1/workspaces/{owner.workspace_id}/audit-log?limit=1000"
    told = (await stack_with_jobs.api.get(path, headers=reader.headers)).json()["items"]

    by_commands = {Action.WORKSPACE_MADE, Action.MEMBER_MADE, Action.PASSWORD_RESET}
    assert {line["action"] for line in told} == {action.value for action in Action} - by_commands
    assert len(of_project) == len(set(of_project)) == 13
    assert [line["action"] for line in told][-13:] == of_project, "newest first, and of all projects"


async def test_a_line_says_who_when_what_and_from_where(stack: Stack) -> None:
    config = (await stack.post("/v1/score-configs", a_numeric_config())).json()
    await stack.api.post(
        "/v1/score-configs/x/archive", headers=stack.project.headers | {"X-Request-Id": "refused-leaves-no-line"}
    )

    [line] = await stack.items("/v1/audit-log")

    assert (line["actor_kind"], line["subject"], line["details"]) == ("api_key", config["id"], {"name": "relevance"})
    assert stack.project.key.startswith(line["actor"])
    assert line["project_id"] == str(stack.project.id)
    assert line["request_id"]
    assert line["address"] == "127.0.0.1"


async def test_a_member_is_named_by_the_address(stack: Stack) -> None:
    member = await a_member(stack, Role.MEMBER)
    path = f"/v1/score-configs?project_id={stack.project.id}"

    await stack.api.post(path, json=a_numeric_config(), headers=member.headers)

    [line] = await stack.items("/v1/audit-log")
    assert (line["actor_kind"], line["actor"]) == ("member", member.email)


async def test_a_failed_sign_in_is_told_to_the_admins_of_that_member_and_no_others(
    stack: Stack, owner: SignedInMember
) -> None:
    elsewhere = await make_project(stack.database_url, stack.redis_url, "elsewhere", workspace="elsewhere")
    stranger = await a_member(stack, Role.OWNER, workspace_id=elsewhere.workspace_id, email="x@elsewhere.org")
    for email in (owner.email, "nobody@example.org"):
        await stack.api.post("/v1/session", json={"email": email, "password": "wrong"})

    here = await stack.api.get(f"/v1/workspaces/{owner.workspace_id}/audit-log", headers=owner.headers)
    there = await stack.api.get(f"/v1/workspaces/{stranger.workspace_id}/audit-log", headers=stranger.headers)

    assert [line["actor"] for line in here.json()["items"]] == [owner.email]
    assert there.json()["items"] == []
    of_nobody = await stack.fetch("SELECT details FROM audit_log WHERE actor_kind = 'stranger'")
    assert [row["details"] for row in of_nobody] == ['{"email": "nobody@example.org"}']


async def test_a_delete_of_what_is_not_stored_is_told_too(stack: Stack) -> None:
    """It is final for a copy that is still in the queue."""
    answer = await stack.api.delete("/v1/scores/not-there", headers=stack.project.headers)

    [line] = await stack.items("/v1/audit-log")
    assert (answer.status_code, line["subject"], line["details"]) == (404, "not-there", {"stored": False})


async def test_what_an_admin_of_the_workspace_does_to_a_project_is_in_its_own_log(
    stack: Stack, owner: SignedInMember
) -> None:
    path = f"/v1/workspaces/{owner.workspace_id}/projects/{stack.project.id}"
    await as_owner(stack, owner, "PATCH", path, {"scores_per_minute": 9})

    [line] = await stack.items("/v1/audit-log")
    assert (line["action"], line["details"]) == ("project_changed", {"scores_per_minute": 9})


async def test_what_is_rolled_back_is_not_told(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config())
    before = await actions(stack)

    assert (await stack.post("/v1/score-configs", a_numeric_config())).status_code == 409
    assert await actions(stack) == before


async def test_no_secret_is_in_the_log(stack: Stack, owner: SignedInMember) -> None:
    key = (await stack.post("/v1/api-keys", {"name": "k", "scopes": ["scores:read"]})).json()["key"]
    here = f"/v1/workspaces/{owner.workspace_id}/invitations"
    token = (await as_owner(stack, owner, "POST", here, {"email": "a@b.c", "role": "viewer"})).json()["token"]
    await stack.api.post("/v1/session", json={"email": owner.email, "password": "a-wrong-password"})

    rows = str(await stack.fetch("SELECT * FROM audit_log"))

    assert [secret for secret in (key, token, "a-wrong-password", PASSWORD) if secret in rows] == []


async def test_the_log_is_read_page_by_page_and_filtered(stack: Stack) -> None:
    for number in range(7):
        await stack.post("/v1/score-configs", a_numeric_config(name=f"n{number}"))
    await stack.post("/v1/score-templates/adopt", {"names": ["toxicity"]})

    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await stack.read("/v1/audit-log", None, limit=3, action="config_made", **cursor)).json()
        names += [line["details"]["name"] for line in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert names == [f"n{number}" for number in reversed(range(7))]
    at = (await stack.items("/v1/audit-log"))[0]["at"]
    assert len(await stack.items("/v1/audit-log", to=at)) == 7
    assert await actions(stack, **{"from": at}) == ["templates_adopted"]
    for params in ({"action": "x"}, {"cursor": "x"}, {"limit": "0"}, {"actoin": "x"}):
        assert (await stack.read("/v1/audit-log", None, **params)).status_code == 400


async def test_who_is_no_admin_does_not_read_it(stack: Stack) -> None:
    member = await a_member(stack, Role.MEMBER)
    path = f"/v1/workspaces/{member.workspace_id}/audit-log"

    assert_problem(await stack.api.get(path, headers=member.headers), 403, "missing_role")
