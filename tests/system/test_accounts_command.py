"""`python -m services.api.accounts`, as an operator runs it on a server without mail."""

import json
import os
import subprocess
import sys

import pytest

from tests.stack import Stack
from tests.system.processes import ROOT


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.api.accounts", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": stack.database_url},
        capture_output=True,
        text=True,
        check=False,
    )


def said(stack: Stack, *arguments: str) -> str:
    done = run(stack, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def signs_in(stack: Stack, email: str, password: str) -> bool:
    answer = await stack.api.post("/v1/session", json={"email": email, "password": password})
    return answer.status_code == 200


async def test_a_workspace_with_its_first_owner_is_made_and_signs_in(stack: Stack) -> None:
    said(stack, "workspace", "acme", "Acme")
    said(stack, "project", "acme", "web", "Web")
    password = said(stack, "member", "acme", "Ann@acme.org", "owner").splitlines()[1].removeprefix("password ")

    answer = await stack.api.post("/v1/session", json={"email": "ann@acme.org", "password": password})

    [workspace] = answer.json()["workspaces"]
    assert (workspace["slug"], workspace["role"]) == ("acme", "owner")
    assert [project["slug"] for project in workspace["projects"]] == ["web"]
    listed = said(stack, "list")
    assert "workspace acme" in listed
    assert "  project web" in listed
    assert "  owner ann@acme.org" in listed


async def test_twice_makes_one_and_keeps_the_password(stack: Stack) -> None:
    said(stack, "workspace", "acme", "Acme")
    password = said(stack, "member", "acme", "ann@acme.org", "viewer").splitlines()[1].removeprefix("password ")

    again = said(stack, "workspace", "acme", "Acme"), said(stack, "member", "acme", "ann@acme.org", "owner")

    assert "password" not in again[1]
    assert await signs_in(stack, "ann@acme.org", password)
    assert said(stack, "list").count("acme") == 2


async def test_the_last_owner_stays_and_another_role_is_told(stack: Stack) -> None:
    said(stack, "workspace", "acme", "Acme")
    said(stack, "member", "acme", "ann@acme.org", "owner")

    refused = run(stack, "member", "acme", "ann@acme.org", "viewer")
    said(stack, "member", "acme", "bob@acme.org", "owner")
    said(stack, "member", "acme", "ann@acme.org", "viewer")

    assert "last owner" in refused.stderr
    [told] = await stack.fetch("SELECT details FROM audit_log WHERE action = 'role_changed'")
    assert json.loads(told["details"]) == {"role": "viewer", "was": "owner"}


async def test_a_password_is_reset_and_sessions_end(stack: Stack) -> None:
    said(stack, "workspace", "acme", "Acme")
    old = said(stack, "member", "acme", "ann@acme.org", "owner").splitlines()[1].removeprefix("password ")
    assert await signs_in(stack, "ann@acme.org", old)

    told, new = said(stack, "reset", "ann@acme.org").splitlines()

    assert told == "ann@acme.org: 1 sessions ended"
    assert await signs_in(stack, "ann@acme.org", new.removeprefix("password "))
    assert not await signs_in(stack, "ann@acme.org", old)
    assert said(stack, "sign-out", "ann@acme.org") == "ann@acme.org: 1 sessions ended\n"
    actions = [row["action"] for row in await stack.fetch("SELECT action FROM audit_log WHERE actor_kind = 'operator'")]
    assert sorted(actions) == ["member_made", "password_reset", "signed_out_everywhere", "workspace_made"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("member", "tests", "k\u0130m@b.c", "owner"), "is no address."),
        (("reset", "nobody@acme.org"), "There is no member nobody@acme.org."),
        (("member", "nowhere", "a@b.c", "owner"), "There is no workspace nowhere."),
        (("member", "tests", "nobody", "owner"), "nobody is no address."),
        (("member", "tests", "a@b.c", "king"), "invalid Role value"),
        (("workspace", "Not A Slug", "x"), "violates check constraint"),
        ((), "required"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_said_in_a_line(stack: Stack, arguments: tuple[str, ...], told: str) -> None:
    done = run(stack, *arguments)

    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
