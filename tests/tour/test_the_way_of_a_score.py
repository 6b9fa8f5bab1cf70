"""A tour for readers: the happy way of a score, from the sender to the trend."""

from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.stack import Stack


async def test_a_score_is_sent_stored_and_read_back(stack: Stack) -> None:
    answer = await stack.send(a_score(id="s1", trace_id="t1", name="relevance", value=0.92, comment="on topic"))

    assert answer.status_code == 202
    assert answer.json() | {"batch_id": "…"} == {
        "status": "accepted", "batch_id": "…", "accepted": 1, "rejected": 0, "ids": ["s1"], "errors": [],
    }  # fmt: skip
    receipt = await stack.receipt(answer.json()["batch_id"])
    assert (receipt["stored"], receipt["rejected"]) == (1, 0)
    [score] = await stack.items("/v1/scores")
    assert (score["id"], score["value"], score["data_type"], score["comment"]) == ("s1", 0.92, "NUMERIC", "on topic")


async def test_a_score_obeys_the_config_of_its_name(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config(name="relevance", max_value=1))

    receipt = await stack.store(a_score(id="good", value=1.0), a_score(id="bad", value=1.5))

    assert (receipt["stored"], receipt["rejected"]) == (1, 1)
    assert receipt["rejections"] == [
        {
            "index": 1,
            "id": "bad",
            "code": "above_maximum",
            "pointer": "/value",
            "detail": "1.5 is above the maximum 1.0",
        }
    ]


async def test_a_rejected_score_says_why_when_it_is_asked_for(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_categorical_config(name="safety"))
    await stack.store(a_score(id="odd", name="safety", value="perhaps"))

    answer = await stack.read("/v1/scores/odd")

    assert answer.status_code == 404
    assert answer.json()["code"] == "score_rejected"
    assert "unknown_category" in answer.json()["detail"]


async def test_scores_of_a_trace_come_with_those_of_its_spans(stack: Stack) -> None:
    await stack.store(
        a_score(id="of-trace", trace_id="t1"),
        a_score(id="of-span", trace_id="t1", span_id="s1"),
        a_score(id="elsewhere", trace_id="t2"),
    )

    items = await stack.items("/v1/traces/t1/scores")

    assert {item["id"] for item in items} == {"of-trace", "of-span"}


async def test_aggregates_know_every_data_type(stack: Stack) -> None:
    await stack.store(
        *(a_score(name="relevance", value=value) for value in (0.2, 0.4, 0.9)),
        *(a_score(name="safety", value=value) for value in ("safe", "safe", "unsafe")),
        *(a_score(name="thumbs", value=value) for value in (True, False, True, True)),
    )

    thumbs, relevance, safety = await stack.items("/v1/scores/aggregate")

    assert (thumbs["count"], thumbs["true_count"], thumbs["false_count"], thumbs["true_rate"]) == (4, 3, 1, 0.75)
    assert (relevance["min"], relevance["max"], relevance["p50"]) == (0.2, 0.9, 0.4)
    assert round(relevance["avg"], 9) == 0.5
    assert safety["distribution"] == {"safe": 2, "unsafe": 1}


async def test_a_trend_has_every_day_also_the_empty_ones(stack: Stack) -> None:
    await stack.store(
        a_score(value=0.25, timestamp="2025-03-01T10:00:00Z"),
        a_score(value=0.75, timestamp="2025-03-03T10:00:00Z"),
    )

    [series] = await stack.items(
        "/v1/scores/trends", **{"name": "relevance", "from": "2025-03-01T00:00:00Z", "to": "2025-03-04T00:00:00Z"}
    )

    assert [(bucket["count"], bucket["avg"]) for bucket in series["buckets"]] == [(1, 0.25), (0, None), (1, 0.75)]


async def test_who_follows_what_arrives_sees_back_fills_too(stack: Stack) -> None:
    await stack.store(a_score(id="before"))
    [last] = await stack.items("/v1/scores")
    await stack.store(a_score(id="back-fill", timestamp="2020-01-01T00:00:00Z"))

    arrived = await stack.items("/v1/scores", received_from=last["received_at"])

    assert [item["id"] for item in arrived] == ["before", "back-fill"]  # newest judgement first; from is inclusive
