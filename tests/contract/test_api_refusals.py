"""What the api refuses, and how: parameters, bodies, ids and cursors that make no sense are never a 5xx."""

import base64
from typing import Any

import msgspec
import pytest

from services.api.app import ENDPOINTS
from shared.access import Role
from tests.accounts import a_member, admitted
from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.contract.problems import assert_problem
from tests.contract.test_api_access import label_of, path_of
from tests.stack import Stack


def a_cursor(content: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


# Parameters -----------------------------------------------------------------------------------------------------------


async def test_an_unknown_parameter_is_a_400_wherever_there_are_parameters(stack: Stack) -> None:
    owner = await a_member(stack, Role.OWNER)
    with_parameters = [endpoint for endpoint in ENDPOINTS if endpoint.query]

    found = {}
    for endpoint in with_parameters:
        path = path_of(endpoint, workspace_id=str(owner.workspace_id))
        answer = await stack.api.get(path, params={"nmae": "x"}, headers=admitted(stack, owner, endpoint))
        found[label_of(endpoint)] = (answer.status_code, answer.json().get("code"), answer.json().get("pointer"))

    assert found == {label_of(endpoint): (400, "unknown_parameter", "nmae") for endpoint in with_parameters}


@pytest.mark.parametrize(
    ("path", "params", "pointer"),
    [
        ("scores", {"limit": "0"}, "limit"), ("scores", {"limit": "1001"}, "limit"),
        ("scores", {"limit": "00000000019999999999"}, "limit"), ("scores", {"order": "up"}, "order"),
        ("scores", {"from": "yesterday"}, "from"), ("scores", {"min_value": "nan"}, "min_value"),
        ("scores", {"received_from": "2025-01-01T00:00:00"}, "received_from"),
        ("scores", {"source": "sdk"}, "source"), ("scores", {"config_id": "x"}, "config_id"),
        ("scores", {"name": "a\x00b"}, "name"), ("scores", {"cursor": "x"}, "cursor"),
        ("scores", {"name": "x" * 501}, "name"), ("scores/aggregate", {"group_by": "name"}, "group_by"),
        ("scores/aggregate", {"percentiles": "no"}, "percentiles"), ("scores/histogram", {}, "name"),
        ("scores/histogram", {"name": ["a", "b"]}, "name"), ("scores/histogram", {"name": "a", "edges": "1"}, "edges"),
        ("scores/histogram", {"name": "a", "edges": "2,1"}, "edges"), ("scores/histogram", {"name": "a", "bins": 0},
        "bins"),
        ("scores/trends", {}, "name"), ("scores/trends", {"name": ["a"] * 51}, "name"),
        ("scores/trends", {"name": "a", "days": 401}, "days"),
        ("scores/trends", {"name": "a", "timezone": "Mars"}, "timezone"),
        ("scores/trends", {"name": "a", "granularity": "year"}, "granularity"),
        ("scores/trends", {"name": "a", "group_by": "source,author"}, "group_by"),
        ("scores/trends", {"name": "a", "days": 3, "from": "2025-01-01T00:00:00Z"}, "days"),
        ("traces/t1/scores", {"limit": "0"}, "limit"), ("rejected-scores", {"limit": "0"}, "limit"),
        ("rejected-scores", {"cursor": "x"}, "cursor"), ("score-configs", {"include_archived": "1"},
        "include_archived"),
    ],
    ids=str,
)  # fmt: skip
async def test_an_unusable_parameter_is_a_400_that_names_it(
    stack: Stack, path: str, params: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(await stack.read(f"/v1/{path}", **params), 400)

    assert problem["pointer"] == pointer


@pytest.mark.parametrize(
    "cursor",
    [["desc", [1 << 60, "a"]], ["desc", [1, "a\x00"]], ["asc", [1, "a"]], ["desc", [1.5, "a"]], {}, "x"],
    ids=str,
)
async def test_a_cursor_that_is_not_ours_is_a_400(stack: Stack, cursor: object) -> None:
    assert_problem(await stack.read("/v1/scores", cursor=a_cursor(cursor)), 400, "invalid_cursor")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-01-01T00:00:00"])
async def test_a_cursor_of_rejected_scores_that_is_not_ours_is_a_400(stack: Stack, moment: str) -> None:
    assert_problem(await stack.read("/v1/rejected-scores", cursor=a_cursor([moment, "b", 0])), 400, "invalid_cursor")


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2199-01-01T00:00:00Z"}, {"to": "1900-01-01T00:00:00Z"},
        {"from": "1900-01-01T00:00:00Z", "granularity": "month"},
        {"from": "2199-01-01T00:00:00Z", "granularity": "hour"}, {"to": "1900-01-01T00:00:00Z", "days": "400"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_trend_of_a_window_far_away_is_empty_and_no_accident(stack: Stack, params: dict[str, Any]) -> None:
    answer = await stack.read("/v1/scores/trends", name="relevance", **params)

    assert answer.status_code in (200, 400, 422), answer.text


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("10:00:00", "10:00:01"), ("10:01:00", "10:14:00"), ("10:00:00", "10:15:00"),
        ("10:14:59.999999", "10:15:00.000001"),
        ("09:59:00", "10:31:00"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["scores/aggregate", "scores/trends", "scores/histogram", "scores"])
async def test_a_window_may_be_as_short_as_one_likes(stack: Stack, path: str, start: str, end: str) -> None:
    window: dict[str, Any] = {"from": f"2025-03-01T{start}Z", "to": f"2025-03-01T{end}Z"}

    answer = await stack.read(f"/v1/{path}", name="relevance", **window)

    assert answer.status_code == 200, answer.text


async def test_too_many_buckets_are_a_422(stack: Stack) -> None:
    window: dict[str, Any] = {"from": "2000-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}

    answer = await stack.read("/v1/scores/trends", name="relevance", granularity="hour", **window)

    assert_problem(answer, 422, "too_many_buckets")


# Ids ------------------------------------------------------------------------------------------------------------------

ODD_IDS = [
    "nothing",
    "x" * 300,
    "ü/ö?&",
    "%00",
    "99999999999999999999-0-0",
    "0-0-0",
    "1-1-99999999999999999999",
    "a%2Fb",
    "..%2F..",
]


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_an_id_that_there_is_not_is_a_404_however_odd(stack: Stack, odd: str) -> None:
    escaped = odd if "%" in odd else odd.replace("/", "%2F").replace("?", "%3F").replace("&", "%26")

    for noun in ("scores", "score-configs", "batches", "jobs", "rejected-scores"):
        answer = await stack.read(f"/v1/{noun}/{escaped}")
        assert answer.status_code == 404, (noun, answer.text)


@pytest.mark.parametrize("odd", ["ü/ö", "a b", "a?b", "x" * 200, "a%b", "scores", "a/spans/b", "."])
async def test_a_score_is_found_by_its_id_however_odd(stack: Stack, odd: str) -> None:
    await stack.store(a_score(id=odd))

    escaped = "".join(f"%{byte:02X}" for byte in odd.encode())
    answer = await stack.read(f"/v1/scores/{escaped}")

    assert (answer.status_code, answer.json().get("id")) == (200, odd)


async def test_a_trace_without_scores_has_none(stack: Stack) -> None:
    assert (await stack.read("/v1/traces/%00/scores")).status_code in (200, 404)
    assert await stack.items("/v1/traces/nothing/scores") == []


# Bodies ---------------------------------------------------------------------------------------------------------------

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None and endpoint.body_required]


@pytest.mark.parametrize(
    ("content", "headers", "allowed"),
    [
        (b"", {}, {400}), (b"nonsense", {}, {400}), (b"{", {}, {400}), (b"\xff", {}, {400}), (b"{} x", {}, {400}),
        (b'{"a":' * 100_000, {}, {400, 422}), (b'{"a":"\\ud800"}', {}, {400, 422}), (b"[]", {}, {422}), (b"null", {},
        {422}),
        (b'{"unknown":1}', {}, {422}), (b'{"name":"\\u0000"}', {}, {422}), (b"{}", {"content-type": "text/plain"},
        {415}),
        (b" " * ((1 << 20) + 1), {}, {413}),
    ],
    ids=[
        "empty", "text", "cut off", "no utf-8", "two", "nested", "half an emoji", "list", "null", "unknown field",
        "nul",
        "type", "size",
    ],
)  # fmt: skip
async def test_a_body_that_makes_no_sense_is_refused_everywhere(
    stack: Stack, content: bytes, headers: dict[str, str], allowed: set[int]
) -> None:
    owner = await a_member(stack, Role.OWNER)

    for endpoint in WITH_BODY:
        path = path_of(endpoint, workspace_id=str(owner.workspace_id))
        said = admitted(stack, owner, endpoint) | headers
        answer = await stack.api.request(endpoint.method, path, content=content, headers=said)
        assert answer.status_code in allowed, label_of(endpoint)
        assert_problem(answer, answer.status_code)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (a_numeric_config(min_value=1), "bounds_out_of_order"), (a_numeric_config(min_value=2), "bounds_out_of_order"),
        ({"name": "a", "data_type": "NUMERIC", "min_value": 0}, "missing_bound"),
        ({"name": "a", "data_type": "NUMERIC"}, "missing_bound"), (a_categorical_config(categories=["a"]),
        "too_few_categories"),
        (a_categorical_config(categories=["a", "a"]), "duplicate_category"),
        (a_categorical_config(categories=["a", " "]), "invalid_category"),
        (a_categorical_config(min_value=0), "superfluous_field"),
        ({"name": "a", "data_type": "BOOLEAN", "max_value": 1}, "superfluous_field"),
        (a_numeric_config(name="Relevance"), "invalid_body"), (a_numeric_config(name="a b"), "invalid_body"),
        (a_numeric_config(name=""), "invalid_body"), (a_numeric_config(name="a" * 101), "invalid_body"),
        (a_numeric_config(name="relevance\n"), "invalid_body"), (a_numeric_config(data_type="TEXT"), "invalid_body"),
        (a_numeric_config(description="x" * 501), "invalid_body"), (a_numeric_config(enforcement="ask"),
        "invalid_body"),
        (a_numeric_config(higher_is_better="yes"), "invalid_body"), (a_numeric_config(version=2), "invalid_body"),
    ],
    ids=str,
)  # fmt: skip
async def test_a_config_that_is_no_rule_is_a_422(stack: Stack, config: dict[str, Any], code: str) -> None:
    assert_problem(await stack.post("/v1/score-configs", config), 422, code)


async def test_a_second_active_config_of_a_name_is_a_409(stack: Stack) -> None:
    assert (await stack.post("/v1/score-configs", a_numeric_config())).status_code == 201

    problem = assert_problem(await stack.post("/v1/score-configs", a_numeric_config()), 409, "name_taken")

    assert problem["pointer"] == "/name"


async def test_a_config_whose_name_was_taken_meanwhile_can_not_be_restored(stack: Stack) -> None:
    first = (await stack.post("/v1/score-configs", a_numeric_config())).json()["id"]
    await stack.post(f"/v1/score-configs/{first}/archive", {})
    await stack.post("/v1/score-configs", a_numeric_config())

    assert_problem(await stack.post(f"/v1/score-configs/{first}/restore", {}), 409, "name_taken")


async def test_an_archived_config_can_not_be_changed(stack: Stack) -> None:
    config = (await stack.post("/v1/score-configs", a_numeric_config())).json()["id"]
    await stack.post(f"/v1/score-configs/{config}/archive", {})

    assert_problem(await stack.patch(f"/v1/score-configs/{config}", {"max_value": 2}), 409, "config_archived")


async def test_an_unknown_template_is_a_422_and_nothing_is_adopted(stack: Stack) -> None:
    answer = await stack.post("/v1/score-templates/adopt", {"names": ["relevance", "nothing"]})

    assert_problem(answer, 422, "unknown_template")
    assert await stack.items("/v1/score-configs") == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"ids": []}, {"ids": [""]}, {"ids": ["x" * 201]}, {"ids": ["a"], "filter": {"name": ["a"]}}, {"filter": {}},
        {"filter": {"name": []}}, {"filter": {"metadata": {}}}, {"filter": {"metadata": {"a": []}}},
        {"filter": {"nmae": ["a"]}}, {"filter": {"name": ["x"] * 101}}, {"filter": {"from": "2025-01-01T00:00:00"}},
        {"filter": {"from": "0001-01-01T00:00:00+23:59"}}, {"filter": {"to": "9999-12-31T23:59:59-23:59"}},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_delete_says_what_it_is_about_and_never_means_everything(
    stack: Stack, body: dict[str, Any], dry_run: bool
) -> None:
    await stack.store(a_score(id="keep"))

    assert_problem(await stack.post("/v1/scores/delete", body | {"dry_run": dry_run}), 422)

    assert [score["id"] for score in await stack.items("/v1/scores")] == ["keep"]


@pytest.mark.parametrize("count", [0, 501])
async def test_of_no_trace_and_of_too_many_nothing_is_read(stack: Stack, count: int) -> None:
    answer = await stack.post("/v1/traces/scores", {"trace_ids": [f"t{n}" for n in range(count)]})

    assert_problem(answer, 422, "invalid_body")


@pytest.mark.parametrize("trace_ids", [["t1", "t1"], ["t\x7f"], ["ü" * 200]])
async def test_each_trace_is_answered_once_in_the_order_asked_for(stack: Stack, trace_ids: list[str]) -> None:
    answer = await stack.post("/v1/traces/scores", {"trace_ids": trace_ids})

    assert [item["trace_id"] for item in answer.json()["items"]] == list(dict.fromkeys(trace_ids))


# The worker keeps what it can't store --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata", ['{"a":1e99}', '{"a":' + "[" * 127 + "]" * 127 + "}", '{"a":"\\ud83d\\ude00"}', '{"a":1,"a":2}'],
    ids=["a large number", "nested", "an emoji", "a key twice"],
)  # fmt: skip
async def test_whatever_ingest_accepted_is_stored_or_rejected_with_a_reason(stack: Stack, metadata: str) -> None:
    odd = b'{"id":"odd","trace_id":"t","name":"n","value":1,"metadata":' + metadata.encode() + b"}"
    body = b'{"scores":[{"id":"good","trace_id":"t","name":"n","value":1},' + odd + b"]}"

    answer = await stack.ingest.post("/v1/scores", content=body, headers=stack.project.headers)

    assert answer.status_code == 202
    receipt = await stack.receipt(answer.json()["batch_id"])
    assert receipt["stored"] + receipt["rejected"] == 2
    assert (await stack.read("/v1/scores/good")).status_code == 200
