"""What every answer tells a browser, whatever it says; and the page of the documents, the only page there is."""

import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.metrics import HttpMetrics
from tests.builders import a_score
from tests.contract.intake import Intake
from tests.stack import Stack, client_of

ON_EVERYTHING = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
ON_DATA = ON_EVERYTHING | {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def assert_guarded(answer: httpx.Response, expected: dict[str, str]) -> None:
    for name, value in expected.items():
        assert answer.headers.get_list(name) == [value], f"{answer.request.url}: {name}"
    for telling in ("server", "x-powered-by", "access-control-allow-origin"):
        assert telling not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/scores", 200), ("GET", "/v1/scores?limit=0", 400), ("GET", "/v1/scores/none", 404),
        ("GET", "/none", 404), ("PUT", "/v1/scores", 405), ("POST", "/v1/score-configs", 400), ("GET", "/healthz", 200),
        ("GET", "/readyz", 200), ("GET", "/metrics", 200), ("GET", "/openapi.json", 200),
    ],
)  # fmt: skip
async def test_an_answer_of_the_api_is_inert_data_and_kept_nowhere(
    stack: Stack, method: str, path: str, status: int
) -> None:
    answer = await stack.api.request(method, path, headers=stack.project.headers)

    assert answer.status_code == status
    assert_guarded(answer, ON_DATA)


async def test_an_answer_of_ingest_is_inert_data_and_kept_nowhere(intake: Intake) -> None:
    answers = [
        await intake.send(a_score()),
        await intake.send(a_score(), {}),
        await intake.send({}),
        await intake.post(b"no"),
        await intake.post(b"", content_type="text/plain"),
        await intake.client.post("/v1/scores"),
        await intake.client.get("/healthz"),
        await intake.client.get("/openapi.json"),
    ]

    assert [answer.status_code for answer in answers] == [202, 207, 422, 400, 415, 401, 200, 200]
    for answer in answers:
        assert_guarded(answer, ON_DATA)


async def test_a_failure_of_ours_is_guarded_too() -> None:
    async def fail(_request: Request) -> Response:
        raise RuntimeError("no")

    app = Starlette(
        routes=[Route("/fail", fail)],
        middleware=[Middleware(RequestIds, metrics=HttpMetrics("ingest"), failure_response=failure_response)],
        exception_handlers=HANDLERS,
    )
    async with client_of(app) as client:
        answer = await client.get("/fail")

    assert answer.status_code == 500
    assert_guarded(answer, ON_DATA)


def policy_of(answer: httpx.Response) -> dict[str, list[str]]:
    parts = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    return {words[0]: words[1:] for words in parts}


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/start.js", "/docs/ui/swagger-ui-bundle.js", "/docs/ui/swagger-ui.css"]
)
async def test_the_page_of_the_documents_runs_nothing_but_its_own_files(intake: Intake, path: str) -> None:
    answer = await intake.client.get(path)

    assert answer.status_code == 200
    assert_guarded(answer, ON_EVERYTHING | {"cache-control": "no-cache"})
    policy = policy_of(answer)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]


async def test_the_page_of_the_documents_has_all_its_scripts_in_files_of_our_own(intake: Intake) -> None:
    """What its policy lets run."""
    page = (await intake.client.get("/docs")).text

    assert re.findall(r"<script(?![^>]*\bsrc=)|\bon\w+=|javascript:", page) == []
    for path in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert path.startswith("docs/")  # relative: the page works below a prefix too
        assert (await intake.client.get(f"/{path}")).status_code == 200


async def test_the_page_of_the_documents_remembers_no_key(intake: Intake) -> None:
    assert "persistAuthorization" not in (await intake.client.get("/docs/start.js")).text
