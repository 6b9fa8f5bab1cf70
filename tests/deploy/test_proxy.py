"""One origin: what the proxy sends where, what it keeps from the outside, and what it says when a service is gone."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import a_score
from tests.contract.problems import assert_problem
from tests.deploy.houses import House, open_house
from tests.deploy.proxy import Proxy, needs_caddy
from tests.deploy.upstream import Upstream
from tests.system.processes import free_port
from tests.waiting import wait_until

pytestmark = needs_caddy

OK_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def house(postgres: Any, template_database: str, tmp_path_factory: Any) -> Iterator[House]:
    settings = {"ASSAY_BODY_SECONDS": "1", "ASSAY_LOG_LEVEL": "DEBUG"}  # so that who answers a probe can be told
    with open_house(postgres, template_database, tmp_path_factory.mktemp("proxy"), settings=settings) as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "path", "service", "status"),
    [
        ("POST", "/v1/scores", "ingest", 400),
        ("POST", "/v1/scores?later=1", "ingest", 400),
        ("GET", "/v1/scores", "api", 200),
        ("PUT", "/v1/scores", "api", 405),
        ("DELETE", "/v1/scores/s1", "api", 404),
        ("GET", "/v1/scores/s1", "api", 404),
        ("GET", "/v1/scores/aggregate", "api", 200),
        ("POST", "/v1/scores/delete", "api", 400),
        ("POST", "/v1/scores/", "api", 405),
        ("POST", "/v1/traces/scores", "api", 400),
        ("GET", "/v1/project", "api", 200),
        ("GET", "/nothing", "api", 404),
        ("GET", "/healthz", "api", 200),
        ("GET", "/openapi.json", "api", 200),
        ("GET", "/docs", "api", 200),
        ("GET", "/docs/ui/swagger-ui.css", "api", 200),
        ("POST", "/ingest/v1/scores", "ingest", 400),
        ("GET", "/ingest/v1/scores", "ingest", 405),
        ("GET", "/ingest/healthz", "ingest", 200),
        ("GET", "/ingest/openapi.json", "ingest", 200),
        ("GET", "/ingest/docs", "ingest", 200),
        ("GET", "/ingest/docs/ui/swagger-ui.css", "ingest", 200),
    ],
)
async def test_each_request_goes_to_its_service_and_keeps_its_id(
    house: House, method: str, path: str, service: str, status: int
) -> None:
    request_id = f"r-{uuid.uuid4().hex}"
    json = "application/json"

    answer = house.ask(method, path, headers={"X-Request-Id": request_id, "Content-Type": json})

    assert answer.status_code == status
    assert answer.headers["x-request-id"] == request_id
    assert await house.answered_by(request_id) == service


@pytest.mark.parametrize("given", [None, "", "a b", '"},{"', "x" * 101])
async def test_a_request_without_a_plain_id_gets_one(house: House, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}

    answer = house.ask("GET", "/v1/project", headers=headers)

    made = answer.headers["x-request-id"]
    assert str(uuid.UUID(made)) == made
    assert await house.answered_by(made) == "api"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/metrics/", "/METRICS", "//metrics", "/%6Detrics", "/v1/../metrics", "/ingest/../metrics"),
        *("/ingest/metrics", "/ingest//metrics", "/ingest/%6detrics", "/ingest/v1/../metrics", "/ingest%2fmetrics"),
        "/ingest/docs/../metrics",
    ],
)
def test_metrics_are_not_for_the_outside(house: House, path: str) -> None:
    answer = house.ask_raw(path)

    assert answer.status in (404, 307)
    assert b"assay_" not in answer.read()


def test_what_the_proxy_does_not_know_of_ingest_is_a_problem(house: House) -> None:
    answer = house.ask("GET", "/ingest/nothing", headers={"X-Request-Id": "r1"})

    assert_problem(answer, 404, "not_found")
    assert answer.json()["request_id"] == "r1"


@pytest.mark.parametrize("path", ["/readyz", "/ingest/readyz"])
def test_the_outside_learns_whether_a_service_is_ready_and_no_more(house: House, path: str) -> None:
    answer = house.ask("GET", path)

    assert (answer.status_code, answer.json()) == (200, {"ready": True})


def test_a_batch_of_the_largest_size_goes_through(house: House) -> None:
    scores = [a_score(id=f"s{index}", comment="c" * 8_000) for index in range(1_000)]

    answer = house.ask("POST", "/v1/scores", json={"scores": scores})

    assert answer.status_code == 202
    assert len(answer.json()["ids"]) == 1_000


@pytest.mark.parametrize("size", [(8 << 20) + 1, (9 << 20) + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(house: House, size: int, chunked: bool) -> None:
    body = b" " * size
    content = (body[start : start + 65536] for start in range(0, size, 65536)) if chunked else body

    answer = house.ask("POST", "/v1/scores", content=content, headers={"Content-Type": "application/json"})

    assert_problem(answer, 413, "body_too_large")


async def test_a_body_that_does_not_end_is_let_go_of_by_ingest(house: House) -> None:
    with house.connection() as connection:
        connection.putrequest("POST", "/v1/scores")
        headers = {"Content-Type": "application/json", "Content-Length": "100", "X-Request-Id": "endless"}
        for name, value in {**house.headers, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(b'{"scores":')

        assert await house.answered_by("endless", status="408") == "ingest"


def test_what_follows_a_request_is_passed_on(tmp_path: Path) -> None:
    sent = {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x-request-id": "r1",
        "authorization": "Bearer a-key",
        "content-encoding": "gzip",
    }
    with Upstream(OK_ANSWER) as upstream, Proxy(tmp_path, [upstream.port], [upstream.port]) as proxy:
        httpx.post(f"{proxy.url}/v1/scores", content=b"{}", headers=sent)
        httpx.get(f"{proxy.url}/v1/batches/b1?wait=30", headers=sent)

        ingested, read = upstream.heads()

    assert read.startswith("get /v1/batches/b1?wait=30 ")
    for name, value in sent.items():
        assert f"{name}: {value.lower()}" in ingested


@pytest.mark.parametrize(
    ("behind", "said"), [({}, "127.0.0.1"), ({"PROXY_BEHIND": "127.0.0.0/8"}, "203.0.113.9, 127.0.0.1")]
)
def test_where_a_request_came_from_is_believed_of_those_before_the_proxy_alone(
    tmp_path: Path, behind: dict[str, str], said: str
) -> None:
    with Upstream(OK_ANSWER) as upstream, Proxy(tmp_path, [upstream.port], [upstream.port], **behind) as proxy:
        httpx.post(f"{proxy.url}/v1/session", content=b"{}", headers={"X-Forwarded-For": "203.0.113.9"})

        (signing_in,) = upstream.heads()

    assert f"\r\nx-forwarded-for: {said}\r\n" in f"{signing_in}\r\n"


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/scores"), ("GET", "/v1/scores"), ("GET", "/readyz")])
def test_a_service_that_is_gone_is_a_problem(tmp_path: Path, method: str, path: str) -> None:
    with Proxy(tmp_path, [free_port()], [free_port()], PROXY_PATIENCE="300ms") as proxy:
        answer = httpx.request(method, f"{proxy.url}{path}", headers={"X-Request-Id": "r1"})

    code = {502: "upstream_failed", 503: "upstream_unavailable"}[answer.status_code]
    assert_problem(answer, answer.status_code, code)
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["request_id"] == "r1"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/scores"), ("POST", "/v1/jobs"), ("DELETE", "/v1/scores/s1")]
)
def test_a_write_that_was_sent_is_never_sent_again(tmp_path: Path, method: str, path: str) -> None:
    with Upstream(None) as one, Upstream(None) as other, Proxy(tmp_path, *[[one.port, other.port]] * 2) as proxy:
        answer = httpx.request(method, f"{proxy.url}{path}", content=b'{"scores": []}')

        assert_problem(answer, 502, "upstream_failed")
        assert answer.headers["retry-after"] == "2"
        assert len(one.requests) + len(other.requests) == 1


def test_a_get_goes_to_another_process_when_one_breaks_off(tmp_path: Path) -> None:
    with (
        Upstream(None) as broken,
        Upstream(OK_ANSWER) as well,
        Proxy(tmp_path, [well.port], [broken.port, well.port]) as proxy,
    ):
        answers = [httpx.get(f"{proxy.url}/v1/scores") for _ in range(20)]

        assert {answer.status_code for answer in answers} == {200}
        assert broken.requests


async def test_the_log_of_the_proxy_holds_no_key_and_no_query(tmp_path: Path) -> None:
    secrets = {"Authorization": "Bearer key-in-bearer", "X-API-Key": "key-in-header", "Cookie": "session=key-in-cookie"}
    secrets["X-Request-Id"] = "r1"
    with Upstream(None) as upstream, Proxy(tmp_path, [upstream.port], [upstream.port]) as proxy:
        async with httpx.AsyncClient(headers=secrets) as client:
            await client.post(f"{proxy.url}/v1/scores?user_id=key-in-query", content=b"{}")
        await wait_until(lambda: "/v1/scores" in proxy.log.read_text(), what="a line about the failure")
        logged = proxy.log.read_text()

    assert '"status":502' in logged
    assert '"uri":"/v1/scores"' in logged
    assert '"X-Request-Id":["r1"]' in logged
    assert "key-in" not in logged
