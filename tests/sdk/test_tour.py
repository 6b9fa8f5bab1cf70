"""The way of a score through the SDK: sent, stored, read back, counted; and what breaks a rule."""

from assay import Trouble

from tests.sdk.conftest import House
from tests.waiting import wait_until


async def test_what_is_scored_can_be_read_back(house: House) -> None:
    with house.client(environment="staging") as client:
        with client.trace("answer") as trace, client.span("retrieve") as span:
            relevance = client.score("relevance", 0.92, comment="on topic", metadata={"release": "v2"})
            span.add_score("context_recall", 0.8, source="LLM_JUDGE", author="judge-large")
        client.thumbs(True, user_id="u1", author="kim")
        assert client.flush(30)
        await wait_until(lambda: sum(item["count"] for item in client.aggregate()) == 3)

        of_trace = client.trace_scores(trace.id)
        (of_user,) = client.scores(user_id="u1")
        one = client.score_by_id(relevance)

    assert {score["name"] for score in of_trace} == {"relevance", "context_recall"}
    assert next(score for score in of_trace if score["span_id"])["span_id"] == span.id
    assert (of_user["name"], of_user["value"], of_user["source"]) == ("thumbs", True, "HUMAN")
    assert (one["value"], one["metadata"], one["environment"]) == (0.92, {"release": "v2"}, "staging")


async def test_everything_that_can_be_asked_is_answered(house: House) -> None:
    with house.client() as client:
        config = client.create_config(name="relevance", data_type="NUMERIC", min_value=0, max_value=1)
        for number in range(5):
            client.score("relevance", number / 2, trace_id=f"t{number}", metadata={"release": f"v{number % 2}"})
        assert client.flush(30)
        await wait_until(lambda: len(client.rejected().to_list()) == 2)

        (aggregate,) = client.aggregate(name="relevance")
        groups = client.aggregate(name="relevance", group_by="metadata.release", percentiles=False)
        (series,) = client.trends("relevance", days=2, timezone="Asia/Kolkata")
        rejected = client.rejected(code="above_maximum").to_list()
        receipt = client.receipt(rejected[0]["batch_id"], wait=10)
        configs = client.configs()

    assert (aggregate["count"], aggregate["avg"], aggregate["max"]) == (3, 0.5, 1.0)
    assert {group["count"] for group in groups} == {2, 1}
    assert sum(bucket["count"] for bucket in series["buckets"]) == 3
    assert {one["original"]["value"] for one in rejected} == {1.5, 2.0}
    assert (receipt["status"], receipt["stored"], receipt["rejected"]) == ("done", 3, 2)
    assert [one["id"] for one in configs] == [config["id"]]


async def test_paging_and_data_frames(house: House) -> None:
    with house.client() as client:
        sent = [client.score("relevance", 0.5, trace_id="t1") for _ in range(2500)]
        assert client.flush(30)
        await wait_until(lambda: client.aggregate() and client.aggregate()[0]["count"] == 2500)

        assert {score["id"] for score in client.scores(order="asc")} == set(sent)
        assert len(client.scores(limit=1200).to_list()) == 1200
        assert len(client.scores().to_pandas()) == 2500
        assert client.aggregate().to_pandas()["count"].sum() == 2500
        assert client.trends("relevance", days=1).to_pandas()["count"].sum() == 2500


async def test_the_reason_of_a_refused_score_is_the_servers(house: House) -> None:
    troubles: list[Trouble] = []
    with house.client(on_error=troubles.append) as client:
        client.score(" relevance", 0.5, trace_id="t1")
        client.score("relevance", 0.5, trace_id="t1")
        assert client.flush(30)

    (trouble,) = troubles
    assert (trouble.kind, trouble.code) == ("rejected", "invalid_name")
    assert client.counters().sent == 1


async def test_what_breaks_a_rule_after_it_was_taken_in_is_told(house: House) -> None:
    troubles: list[Trouble] = []
    with house.client(on_error=troubles.append) as client:
        client.create_config(name="relevance", data_type="NUMERIC", min_value=0, max_value=1)
        client.score("relevance", 1.5, trace_id="t1", id="s1")
        client.score("relevance", 0.5, trace_id="t1", id="s2")
        assert client.flush(30)
        await wait_until(lambda: client.counters().rejected_later == 1)

    (trouble,) = troubles
    assert (trouble.kind, trouble.code, trouble.score) == ("rejected_later", "above_maximum", {"id": "s1"})
    assert trouble.detail == "1.5 is above the maximum 1.0"
    assert client.counters().sent == 2
