"""What holds for every request to either service: a request id, and errors as problem documents."""

import re

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.metrics import HttpMetrics
from tests.contract.intake import Intake
from tests.contract.problems import assert_problem
from tests.stack import Stack, client_of


@pytest.mark.parametrize("request_id", ["r1", "A.b_c-9", "x" * 100])
async def test_a_plain_request_id_is_taken_over(intake: Intake, request_id: str) -> None:
    answer = await intake.client.post("/v1/scores", headers={"x-request-id": request_id})

    assert answer.headers["x-request-id"] == request_id
    assert_problem(answer, 401)


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 101, "<script>", "a\tb", "é"])
async def test_any_other_request_id_is_replaced(intake: Intake, request_id: str) -> None:
    answer = await intake.client.get("/healthz", headers=[(b"x-request-id", request_id.encode())])

    assert len(answer.headers["x-request-id"]) == 36


async def test_two_requests_have_two_ids(intake: Intake) -> None:
    ids = {(await intake.client.get("/healthz")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/score", "/v2/scores", "/docs/ui/nothing.js", "/v1/scores%00", "/ü"])
async def test_an_unknown_path_of_ingest_is_a_404(intake: Intake, path: str) -> None:
    assert_problem(await intake.client.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v2/scores", "/docs/ui/nothing.js", "/docs/ui/%00"])
async def test_an_unknown_path_of_the_api_is_a_404(stack: Stack, path: str) -> None:
    assert_problem(await stack.api.get(path), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"])
async def test_another_method_of_ingest_is_a_405_that_says_what_is_allowed(intake: Intake, method: str) -> None:
    answer = await intake.client.request(method, "/v1/scores")

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/scores"), ("PUT", "/v1/score-configs"), ("GET", "/v1/traces/scores")]
)
async def test_another_method_of_the_api_is_a_405(stack: Stack, method: str, path: str) -> None:
    answer = await stack.api.request(method, path)

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_a_failure_of_ours_is_an_opaque_500_with_a_request_id() -> None:
    async def fail(_request: Request) -> Response:
        raise RuntimeError("the secret of the house")

    app = Starlette(
        routes=[Route("/fail", fail)],
        middleware=[Middleware(RequestIds, metrics=HttpMetrics("api"), failure_response=failure_response)],
        exception_handlers=HANDLERS,
    )

    async with client_of(app) as client:
        answer = await client.get("/fail")

    assert "secret" not in answer.text
    assert_problem(answer, 500, "internal_error")


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/ui/swagger-ui.css"]
)
async def test_what_operators_and_readers_need_asks_for_no_key(stack: Stack, path: str) -> None:
    for service in (stack.ingest, stack.api):
        assert (await service.get(path)).status_code == 200


async def test_readiness_names_the_parts(stack: Stack) -> None:
    ingest, api = (await stack.ingest.get("/readyz")).json(), (await stack.api.get("/readyz")).json()

    assert (ingest["ready"], ingest["parts"]) == (True, {"queue": "ok"})
    assert (api["ready"], api["parts"]) == (True, {"store": "ok", "queue": "ok"})


async def test_the_browsable_page_finds_its_parts_behind_any_prefix(stack: Stack) -> None:
    """A proxy serves ingest's page below a prefix: the page names nothing by an absolute path."""
    for service in (stack.ingest, stack.api):
        page = (await service.get("/docs")).text

        assert not re.findall(r"""(?:href|src|url)\s*[=:]\s*["']/""", page)
        for part in re.findall(r"""(?:href|src|url)\s*[=:]\s*["']([^"']+)""", page):
            assert (await service.get(f"/{part}")).status_code == 200


async def test_no_key_and_no_payload_is_in_the_metrics(intake: Intake) -> None:
    await intake.send({"trace_id": "trace-secret", "name": "name-secret", "value": "value-secret"})
    await intake.client.get("/path-secret")

    exposition = (await intake.client.get("/metrics")).text

    assert "assay_ingest_http_requests_total" in exposition
    assert "secret" not in exposition
    assert intake.key not in exposition
