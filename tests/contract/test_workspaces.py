"""Members of a workspace: invited, made more or less, removed; and its projects."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.access import Role
from tests.accounts import SignedInMember, a_member
from tests.contract.problems import assert_problem
from tests.stack import Stack

PASSWORD = "correct horse battery"


def path(member: SignedInMember, rest: str) -> str:
    return f"/v1/workspaces/{member.workspace_id}{rest}"


async def invite(
    stack: Stack, by: SignedInMember, email: str = "new@example.org", role: Role = Role.MEMBER
) -> httpx.Response:
    return await stack.api.post(path(by, "/invitations"), json={"email": email, "role": role}, headers=by.headers)


async def accept(stack: Stack, token: str, password: str = PASSWORD, name: str = "New") -> httpx.Response:
    body = {"token": token, "password": password, "name": name}
    return await stack.api.post("/v1/invitations/accept", json=body)


async def sign_in(stack: Stack, email: str, password: str = PASSWORD) -> httpx.Response:
    return await stack.api.post("/v1/session", json={"email": email, "password": password})


async def members(stack: Stack, seen_by: SignedInMember) -> dict[str, str]:
    """Roles by address."""
    listed = await stack.api.get(path(seen_by, "/members"), headers=seen_by.headers)
    return {one["email"]: one["role"] for one in listed.json()["items"]}


# Invitations ----------------------------------------------------------------------------------------------------------


async def test_somebody_is_invited_makes_an_account_and_signs_in(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)

    invited = await invite(stack, admin, email="New@Example.org")
    joined = await accept(stack, invited.json()["token"])

    assert (invited.status_code, joined.status_code) == (201, 201)
    assert invited.json()["link"] == f"http://assay/join#{invited.json()['token']}"
    assert await members(stack, admin) == {"admin@example.org": "admin", "new@example.org": "member"}
    assert (await sign_in(stack, "new@example.org")).status_code == 200


async def test_a_link_is_good_once(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)
    token = (await invite(stack, admin)).json()["token"]

    answers = await asyncio.gather(*(accept(stack, token) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 404, 404, 404]
    assert_problem(await accept(stack, token), 404, "invitation_over")


async def test_an_invitation_can_be_withdrawn(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)
    made = (await invite(stack, admin)).json()
    [listed] = (await stack.api.get(path(admin, "/invitations"), headers=admin.headers)).json()["items"]

    withdrawn = await stack.api.delete(path(admin, f"/invitations/{listed['id']}"), headers=admin.headers)

    assert (listed, withdrawn.status_code) == (made["invitation"], 204)
    assert_problem(await accept(stack, made["token"]), 404, "invitation_over")


async def test_an_invitation_that_is_too_old_is_over(stack: Stack) -> None:
    token = (await invite(stack, await a_member(stack, Role.ADMIN))).json()["token"]
    await stack.fetch("UPDATE invitations SET expires_at = now()")

    assert_problem(await accept(stack, token), 404, "invitation_over")


async def test_a_second_invitation_replaces_the_first(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)
    first, second = (await invite(stack, admin)).json(), (await invite(stack, admin, role=Role.VIEWER)).json()

    assert (await accept(stack, first["token"])).status_code == 404
    assert (await accept(stack, second["token"])).json()["role"] == "viewer"


async def test_the_link_does_not_open_an_account_that_is_there_already(stack: Stack) -> None:
    """Whoever gets hold of it would else be the member, in every workspace of theirs."""
    admin = await a_member(stack, Role.ADMIN)
    await accept(stack, (await invite(stack, admin)).json()["token"])
    await stack.fetch("DELETE FROM workspace_members WHERE role = 'member'")
    token = (await invite(stack, admin)).json()["token"]

    assert_problem(await accept(stack, token, password="somebody else's"), 403, "wrong_password")
    assert (await sign_in(stack, "new@example.org", "somebody else's")).status_code == 401

    assert (await accept(stack, token, password=PASSWORD)).status_code == 201


async def test_a_member_is_not_invited_again(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)

    assert_problem(await invite(stack, admin, email="ADMIN@example.org"), 409, "already_member")


async def test_a_weak_password_leaves_the_invitation_open(stack: Stack) -> None:
    token = (await invite(stack, await a_member(stack, Role.ADMIN))).json()["token"]

    assert_problem(await accept(stack, token, password="short"), 422, "weak_password")
    assert (await accept(stack, token)).status_code == 201


async def test_links_can_not_be_guessed_for_long(stack: Stack) -> None:
    answers = [(await accept(stack, f"guess{number}")).status_code for number in range(12)]

    assert (answers[:10], answers[-1]) == ([404] * 10, 429)


@pytest.mark.parametrize(
    "email", ["", "a", "@", "a@", "a b@c.d", "a@b\u0000.c", "k\u0130m@example.org", "a@b.c\n", "x" * 250 + "@y.zz"]
)
async def test_what_is_no_address_is_refused(stack: Stack, email: str) -> None:
    assert (await invite(stack, await a_member(stack, Role.ADMIN), email=email)).status_code == 422


# Roles ----------------------------------------------------------------------------------------------------------------


async def set_role(stack: Stack, by: SignedInMember, whose: SignedInMember, role: Role) -> httpx.Response:
    return await stack.api.patch(path(by, f"/members/{whose.id}"), json={"role": role}, headers=by.headers)


async def remove(stack: Stack, by: SignedInMember, whose: SignedInMember) -> httpx.Response:
    return await stack.api.delete(path(by, f"/members/{whose.id}"), headers=by.headers)


async def test_an_admin_changes_roles_and_removes_members(stack: Stack) -> None:
    admin, viewer = await a_member(stack, Role.ADMIN), await a_member(stack, Role.VIEWER)
    await a_member(stack, Role.OWNER)

    changed = await set_role(stack, admin, viewer, Role.MEMBER)
    removed = await remove(stack, admin, viewer)

    assert (changed.json()["role"], removed.status_code) == ("member", 204)
    assert viewer.email not in await members(stack, admin)


async def test_owners_are_made_changed_and_removed_by_owners_alone(stack: Stack) -> None:
    admin, owner = await a_member(stack, Role.ADMIN), await a_member(stack, Role.OWNER)
    viewer = await a_member(stack, Role.VIEWER)

    for answer in (
        await set_role(stack, admin, viewer, Role.OWNER), await set_role(stack, admin, admin, Role.OWNER),
        await set_role(stack, admin, owner, Role.VIEWER), await remove(stack, admin, owner),
        await invite(stack, admin, role=Role.OWNER),
    ):  # fmt: skip
        assert_problem(answer, 403, "missing_role")

    assert (await set_role(stack, owner, viewer, Role.OWNER)).status_code == 200


async def test_the_last_owner_stays(stack: Stack) -> None:
    owner = await a_member(stack, Role.OWNER)

    assert_problem(await set_role(stack, owner, owner, Role.ADMIN), 409, "last_owner")
    assert_problem(await remove(stack, owner, owner), 409, "last_owner")


async def test_of_two_owners_who_go_at_once_one_stays(stack: Stack) -> None:
    ann = await a_member(stack, Role.OWNER, email="ann@example.org")
    bob = await a_member(stack, Role.OWNER, email="bob@example.org")

    answers = await asyncio.gather(remove(stack, ann, bob), remove(stack, bob, ann))

    assert sorted(answer.status_code for answer in answers)[0] == 204
    assert len(await stack.fetch("SELECT FROM workspace_members WHERE role = 'owner'")) == 1


# Projects -------------------------------------------------------------------------------------------------------------


async def project(stack: Stack, by: SignedInMember, **body: Any) -> httpx.Response:
    return await stack.api.post(path(by, "/projects"), json={"slug": "new", "name": "New", **body}, headers=by.headers)


async def test_a_project_is_made_and_its_admin_makes_its_first_key(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)

    made = (await project(stack, admin)).json()
    key = await stack.api.post(
        f"/v1/api-keys?project_id={made['id']}",
        json={"name": "first", "scopes": ["scores:write", "scores:read"]},
        headers=admin.headers,
    )
    sent = await stack.ingest.post(
        "/v1/scores",
        json={"scores": [{"trace_id": "t", "name": "n", "value": 1}]},
        headers={"X-API-Key": key.json()["key"]},
    )

    assert (key.status_code, sent.status_code) == (201, 202)


async def test_a_slug_is_taken_once(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)
    await project(stack, admin)

    assert_problem(await project(stack, admin), 409, "slug_taken")
    assert_problem(await project(stack, admin, slug="Not one"), 422, "invalid_body")
    assert_problem(await project(stack, admin, slug="new\n"), 422, "invalid_body")


async def test_a_workspace_is_renamed(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)

    answer = await stack.api.patch(path(admin, ""), json={"name": "Other"}, headers=admin.headers)
    [listed] = (await stack.api.get("/v1/workspaces", headers=admin.headers)).json()["items"]

    assert (answer.status_code, listed["name"], listed["role"]) == (204, "Other", "admin")
