"""What every error of both HTTP services looks like (RFC 9457, SPEC 5)."""

import re
from typing import Any

import httpx

REQUIRED = {"type", "title", "status", "detail", "code", "request_id"}


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Whether `answer` is a problem document of that status and code; returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) - {"pointer"} == REQUIRED
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"].endswith(f"#{problem['code']}")
    assert re.fullmatch("[a-z0-9_]+", problem["code"])
    assert problem["detail"]
    assert problem["title"]
    if code is not None:
        assert problem["code"] == code
    return problem
