"""Signing in and out as a browser and a stranger see it."""

import asyncio

import httpx
import pytest
from argon2 import PasswordHasher
from redis.asyncio import Redis

from services.api.sign_in_throttle import SignInThrottle
from services.api.writes.members import set_password
from shared.access import Role
from shared.errors import TooManyAttempts
from tests.accounts import SignedInMember, a_member
from tests.contract.problems import assert_problem
from tests.stack import Stack
from tests.waiting import wait_until

PASSWORD = "correct horse battery"
COOKIE = "__Host-assay_session"


@pytest.fixture
async def member(stack: Stack) -> SignedInMember:
    """With a password, and one session from elsewhere."""
    made = await a_member(stack, Role.MEMBER, email="ann@example.org")
    async with stack.connection() as connection:
        await set_password(connection, made.id, PasswordHasher().hash(PASSWORD))
    return made


async def sign_in(
    stack: Stack, password: str = PASSWORD, email: str = "ann@example.org", **headers: str
) -> httpx.Response:
    said = {name.replace("_", "-"): text for name, text in headers.items()}
    return await stack.api.post("/v1/session", json={"email": email, "password": password}, headers=said)


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """As a header, for the jar would not send it without TLS."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


async def is_signed_in(stack: Stack, headers: dict[str, str]) -> bool:
    return (await stack.api.get("/v1/session", headers=headers)).status_code == 200


# In -------------------------------------------------------------------------------------------------------------------


async def test_a_member_signs_in_and_sees_the_projects(stack: Stack, member: SignedInMember) -> None:
    answer = await sign_in(stack, email="Ann@Example.org")
    session = (await stack.api.get("/v1/session", headers=cookie_of(answer))).json()

    assert answer.status_code == 200
    assert answer.json() == session
    assert (session["email"], session["workspaces"][0]["role"]) == ("ann@example.org", "member")
    assert [project["id"] for project in session["workspaces"][0]["projects"]] == [str(stack.project.id)]


async def test_a_session_with_a_project_reads_scores_and_without_one_is_told_so(
    stack: Stack, member: SignedInMember
) -> None:
    headers = cookie_of(await sign_in(stack))

    named = await stack.api.get(f"/v1/scores?project_id={stack.project.id}", headers=headers)
    unnamed = await stack.api.get("/v1/scores", headers=headers)

    assert (named.status_code, named.json()["items"]) == (200, [])
    assert_problem(unnamed, 400, "project_needed")


async def test_the_cookie_is_for_this_host_over_tls_and_not_for_scripts(stack: Stack, member: SignedInMember) -> None:
    cookie = (await sign_in(stack)).headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()


async def test_the_database_does_not_hold_what_the_cookie_holds(stack: Stack, member: SignedInMember) -> None:
    token = cookie_of(await sign_in(stack))["Cookie"].partition("=")[2]

    kept = await stack.fetch("SELECT encode(hash, 'hex') || ' ' || encode(hash, 'escape') AS kept FROM member_sessions")

    assert len(kept) == 2
    assert all(token not in row["kept"] for row in kept)


async def test_each_sign_in_is_a_new_session_and_ends_the_one_that_came_with_it(
    stack: Stack, member: SignedInMember
) -> None:
    first = cookie_of(await sign_in(stack))
    second = cookie_of(await sign_in(stack, **first))

    assert first != second
    assert not await is_signed_in(stack, first)
    assert await is_signed_in(stack, second)
    assert await is_signed_in(stack, member.headers), "a session from elsewhere stays"


async def test_a_session_that_somebody_else_chose_is_not_taken_over(stack: Stack, member: SignedInMember) -> None:
    chosen = {"Cookie": f"{COOKIE}=chosen-by-somebody-else"}

    await sign_in(stack, **chosen)

    assert not await is_signed_in(stack, chosen)


# Not in ---------------------------------------------------------------------------------------------------------------


async def test_a_wrong_password_and_an_unknown_address_look_the_same(stack: Stack, member: SignedInMember) -> None:
    wrong = assert_problem(await sign_in(stack, password="wrong"), 401, "wrong_credentials")
    unknown = assert_problem(await sign_in(stack, email="bob@example.org"), 401, "wrong_credentials")

    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


async def test_who_guesses_is_made_to_wait_whether_there_is_such_a_member_or_not(
    stack: Stack, member: SignedInMember
) -> None:
    for email in ("ann@example.org", "bob@example.org"):
        answers = [await sign_in(stack, password="wrong", email=email) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert_problem(answers[-1], 429, "too_many_attempts")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 900

    assert (await sign_in(stack)).status_code == 429, "also with the right one"


async def test_who_mistyped_starts_anew_once_signed_in(stack: Stack, member: SignedInMember) -> None:
    for _ in range(3):
        assert [(await sign_in(stack, password="wrong")).status_code for _ in range(5)] == [401] * 5
        assert (await sign_in(stack)).status_code == 200


async def test_another_sites_page_can_not_sign_anybody_in(stack: Stack, member: SignedInMember) -> None:
    assert_problem(await sign_in(stack, sec_fetch_site="cross-site"), 403, "foreign_origin")


# Out ------------------------------------------------------------------------------------------------------------------


async def test_signing_out_ends_this_session_and_no_other(stack: Stack, member: SignedInMember) -> None:
    headers = cookie_of(await sign_in(stack))

    answer = await stack.api.delete("/v1/session", headers=headers)

    assert answer.status_code == 204
    assert 'assay_session=""' in answer.headers["set-cookie"]
    assert_problem(await stack.api.get("/v1/session", headers=headers), 401, "session_over")
    assert await is_signed_in(stack, member.headers)


async def test_signing_out_everywhere_ends_every_session(stack: Stack, member: SignedInMember) -> None:
    headers = cookie_of(await sign_in(stack))
    listed = (await stack.api.get("/v1/sessions", headers=headers)).json()["items"]

    answer = await stack.api.delete("/v1/sessions", headers=headers)

    assert ([one["is_current"] for one in listed], answer.status_code) == ([True, False], 204)
    assert not await is_signed_in(stack, headers)
    assert not await is_signed_in(stack, member.headers)


@pytest.mark.parametrize(
    "aged",
    ["last_seen_at = now() - interval '86401 seconds'", "expires_at = now() - interval '1 second'"],
    ids=["idle", "old"],
)
async def test_a_session_ends_when_it_is_idle_or_old(stack: Stack, member: SignedInMember, aged: str) -> None:
    await stack.fetch(f"UPDATE member_sessions SET {aged}")

    assert_problem(await stack.api.get("/v1/session", headers=member.headers), 401, "session_over")


async def test_a_session_that_is_used_does_not_become_idle(stack: Stack, member: SignedInMember) -> None:
    await stack.fetch("UPDATE member_sessions SET last_seen_at = now() - interval '23 hours'")

    assert await is_signed_in(stack, member.headers)

    [row] = await stack.fetch("SELECT last_seen_at > now() - interval '1 minute' AS was_seen FROM member_sessions")
    assert row["was_seen"]


async def test_a_member_who_is_removed_has_nothing_there_any_more_at_once(stack: Stack, member: SignedInMember) -> None:
    path = f"/v1/scores?project_id={stack.project.id}"
    assert (await stack.api.get(path, headers=member.headers)).status_code == 200

    await stack.fetch("DELETE FROM workspace_members")

    assert (await stack.api.get(path, headers=member.headers)).status_code == 404


# Passwords ------------------------------------------------------------------------------------------------------------


async def change(stack: Stack, headers: dict[str, str], current: str, new: str) -> httpx.Response:
    return await stack.api.post(
        "/v1/password", json={"current_password": current, "new_password": new}, headers=headers
    )


async def test_a_changed_password_is_the_only_one_and_ends_every_other_session(
    stack: Stack, member: SignedInMember
) -> None:
    headers = cookie_of(await sign_in(stack))

    answer = await change(stack, headers, PASSWORD, "another long password")

    assert answer.status_code == 204
    assert await is_signed_in(stack, cookie_of(answer))
    assert not await is_signed_in(stack, headers), "the cookie is a new one"
    assert not await is_signed_in(stack, member.headers)
    assert (await sign_in(stack)).status_code == 401
    assert (await sign_in(stack, password="another long password")).status_code == 200


async def test_who_signs_in_with_a_password_that_is_reset_meanwhile_is_not_signed_in(
    stack: Stack, member: SignedInMember
) -> None:
    async with stack.connection() as operator, operator.transaction():
        await set_password(operator, member.id, PasswordHasher().hash("reset by the operator"))
        signing_in = asyncio.create_task(sign_in(stack))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with stack.connection() as watcher:
            await wait_until(lambda: watcher.fetchval(waiting), what="the sign-in to wait for the reset")

    assert_problem(await signing_in, 401, "wrong_credentials")


async def test_who_has_one_address_of_a_network_has_them_all(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        throttle = SignInThrottle(redis)
        for number in range(10):
            await throttle.take("ann@example.org", f"2001:db8:0:1::{number:x}")
        with pytest.raises(TooManyAttempts):
            await throttle.take("ann@example.org", "2001:db8:0:1:ffff::1")
        await throttle.take("ann@example.org", "2001:db8:0:2::1")


async def test_to_change_a_password_takes_the_present_one(stack: Stack, member: SignedInMember) -> None:
    answer = await change(stack, member.headers, "guessed", "another long password")

    assert assert_problem(answer, 422, "wrong_password")["pointer"] == "/current_password"
    assert (await sign_in(stack)).status_code == 200


@pytest.mark.parametrize("weak", ["short", "ann@example.org", "aaaaaaaaaaaa", "abababababab"])
async def test_a_weak_password_is_refused(stack: Stack, member: SignedInMember, weak: str) -> None:
    assert_problem(await change(stack, member.headers, PASSWORD, weak), 422, "weak_password")


async def test_a_password_is_the_same_on_every_keyboard(stack: Stack, member: SignedInMember) -> None:
    await change(stack, member.headers, PASSWORD, "Übermäßig lang, 10 \N{ANGSTROM SIGN}")

    answer = await sign_in(stack, password="U\N{COMBINING DIAERESIS}bermäßig lang, 10 Å")

    assert answer.status_code == 200


# Other sites' pages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 204), ({"Sec-Fetch-Site": "none"}, 204), ({}, 204),
        ({"Origin": "http://assay"}, 204),
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://["}, 403),
        ({"Origin": "http://assay", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
    ids=str,
)  # fmt: skip
async def test_what_changes_something_comes_from_our_own_page(
    stack: Stack, member: SignedInMember, headers: dict[str, str], status: int
) -> None:
    answer = await stack.api.delete("/v1/session", headers=member.headers | headers)

    assert answer.status_code == status
    assert await is_signed_in(stack, member.headers) == (status == 403)


async def test_a_link_from_elsewhere_may_be_followed(stack: Stack, member: SignedInMember) -> None:
    assert await is_signed_in(stack, member.headers | {"Sec-Fetch-Site": "cross-site"})


# Redis away -----------------------------------------------------------------------------------------------------------


async def test_the_throttle_counts_by_itself_while_redis_is_away() -> None:
    throttle = SignInThrottle(Redis(port=1))

    for _ in range(10):
        await throttle.take("ann@example.org", "10.0.0.1")
    with pytest.raises(TooManyAttempts):
        await throttle.take("ann@example.org", "10.0.0.1")
