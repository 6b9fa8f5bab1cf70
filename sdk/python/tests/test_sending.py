"""What becomes of scores on their way: batches, answers, retries, limits, and what is said about it."""

import logging
import threading
from collections.abc import Callable

import pytest
from scripted_ingest import Answer, Request, ScriptedIngest, problem, refusal

from assay import Client, Trouble

Make = Callable[..., Client]
PATIENCE_SECONDS = 20


def score_many(client: Client, count: int) -> list[str]:
    return [client.score("relevance", 0.5, trace_id=f"t{number}") for number in range(count)]


def assert_all_accounted_for(client: Client) -> None:
    counted = client.counters()
    assert counted.scored + counted.recovered == counted.sent + counted.rejected + counted.dropped + counted.pending


def test_a_score_arrives_with_what_was_said_of_it(client: Client, ingest: ScriptedIngest) -> None:
    score_id = client.score("relevance", 0.92, trace_id="t1", comment="on topic", metadata={"release": "v2"})

    assert client.flush(PATIENCE_SECONDS)
    (score,) = ingest.scores
    assert score.pop("timestamp").endswith("Z")
    assert score == {
        "id": score_id,
        "trace_id": "t1",
        "name": "relevance",
        "value": 0.92,
        "comment": "on topic",
        "metadata": {"release": "v2"},
    }
    assert ingest.requests[0].headers["Authorization"] == "Bearer assay_test"


def test_a_thumb_is_a_persons_judgement(client: Client, ingest: ScriptedIngest) -> None:
    client.thumbs(False, comment="wrong city", trace_id="t1")

    client.flush(PATIENCE_SECONDS)
    (score,) = ingest.scores
    assert (score["name"], score["value"], score["source"]) == ("thumbs", False, "HUMAN")


def test_what_is_scored_together_travels_together(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(batch_size=100, batch_age_seconds=1000)

    sent = score_many(client, 250)
    client.flush(PATIENCE_SECONDS)

    assert [len(request.scores) for request in ingest.requests] == [100, 100, 50]
    assert [score["id"] for score in ingest.scores] == sent


def test_a_batch_is_bounded_in_bytes(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(batch_bytes=4096, batch_age_seconds=1000)

    for _ in range(10):
        client.score("relevance", 0.5, trace_id="t1", comment="x" * 1000)
    client.flush(PATIENCE_SECONDS)

    assert len(ingest.scores) == 10
    assert max(len(request.body) for request in ingest.requests) <= 4096 + 100


def test_an_old_score_does_not_wait_for_others(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(batch_age_seconds=0.01)

    client.score("relevance", 0.5, trace_id="t1")

    ingest.wait_for_requests(1)
    assert [score["name"] for score in ingest.scores] == ["relevance"]


def test_large_batches_are_compressed_and_small_ones_are_not(client: Client, ingest: ScriptedIngest) -> None:
    score_many(client, 1)
    client.flush(PATIENCE_SECONDS)
    score_many(client, 100)
    client.flush(PATIENCE_SECONDS)

    assert [request.headers.get("Content-Encoding") for request in ingest.requests] == [None, "gzip"]


@pytest.mark.parametrize(
    "trouble", [problem(429, "quota"), problem(503, "queue_full"), problem(500, "internal_error"), Answer(hang_up=True)]
)
def test_a_batch_is_sent_again_with_the_same_ids(client: Client, ingest: ScriptedIngest, trouble: Answer) -> None:
    ingest.answer_next(trouble, trouble)

    sent = score_many(client, 3)

    assert client.flush(PATIENCE_SECONDS)
    assert [[score["id"] for score in request.scores] for request in ingest.requests] == [sent] * 3
    assert client.counters()[:5] == (3, 3, 6, 0, 0)


def test_a_pause_that_the_server_asks_for_is_kept(client: Client, ingest: ScriptedIngest) -> None:
    ingest.answer_next(problem(503, "queue_full", Retry_After="3600"))
    score_many(client, 1)
    ingest.wait_for_requests(1)

    assert not client.flush(0.3)
    assert len(ingest.requests) == 1


def test_a_refused_score_is_told_with_the_servers_reason(
    make_client: Make, ingest: ScriptedIngest, caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[Trouble] = []
    client = make_client(on_error=troubles.append)
    ingest.answer_next(Answer(207, errors=(refusal(1, "invalid_name", "the name has blanks at its ends"),)))

    score_many(client, 3)
    client.shutdown(PATIENCE_SECONDS)

    assert client.counters().rejected_because == {"invalid_name": 1}
    assert (client.counters().sent, client.counters().rejected) == (2, 1)
    (trouble,) = troubles
    assert (trouble.kind, trouble.code, trouble.detail) == (
        "rejected",
        "invalid_name",
        "the name has blanks at its ends",
    )
    assert trouble.score is not None
    assert trouble.score["trace_id"] == "t1"
    assert "1 score rejected: 1 × invalid_name: the name has blanks at its ends" in caplog.text


def test_many_refusals_make_one_log_line(
    make_client: Make, ingest: ScriptedIngest, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(batch_size=10)
    ingest.script = lambda request: Answer(422, errors=tuple(refusal(i, "too_long") for i in range(10)))

    score_many(client, 100)
    client.flush(PATIENCE_SECONDS)

    assert len([record for record in caplog.records if "rejected" in record.message]) == 1
    assert client.counters().rejected == 100


def test_one_unreadable_score_does_not_take_its_batch_along(client: Client, ingest: ScriptedIngest) -> None:
    def refuse_batches_with_seven(request: Request) -> Answer:
        bad = any(score["trace_id"] == "t7" for score in request.scores)
        return problem(400, "invalid_json") if bad else Answer()

    ingest.script = refuse_batches_with_seven

    score_many(client, 20)

    assert client.flush(PATIENCE_SECONDS)
    assert client.counters().sent == 19
    assert client.counters().rejected_because == {"invalid_json": 1}


def test_a_batch_over_which_the_server_fails_lets_others_pass(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(batch_size=1, batch_age_seconds=0)

    def fail_over_poison(request: Request) -> Answer:
        poisoned = any(score["trace_id"] == "poison" for score in request.scores)
        return problem(500, "internal_error") if poisoned else Answer()

    ingest.script = fail_over_poison

    client.score("relevance", 0.1, trace_id="poison")
    ingest.wait_for_requests(1)
    score_many(client, 5)

    assert not client.flush(2)
    assert client.counters().sent == 5
    assert client.counters().pending == 1


def test_a_clock_that_is_ahead_loses_nothing(client: Client, ingest: ScriptedIngest) -> None:
    ingest.answer_next(Answer(207, errors=(refusal(0, "timestamp_in_future"), refusal(1, "timestamp_in_future"))))

    client.score("relevance", 0.1, trace_id="t0")
    client.score("relevance", 0.1, trace_id="t1", timestamp="2999-01-01T00:00:00Z")

    assert client.flush(PATIENCE_SECONDS)
    (again,) = ingest.requests[1].scores
    assert again["trace_id"] == "t0"
    assert "timestamp" not in again
    assert client.counters().rejected_because == {"timestamp_in_future": 1}


def test_a_wrong_key_is_said_at_once_and_nothing_waits_for_it(
    make_client: Make, ingest: ScriptedIngest, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    ingest.script = lambda request: problem(401, "unknown_key")

    score_many(client, 3)

    assert not client.flush()
    assert not client.shutdown(PATIENCE_SECONDS)
    assert client.counters().dropped_because == {"shut_down": 3}
    assert "unknown_key: it is unknown_key" in caplog.text


def test_a_key_that_becomes_known_lets_everything_through(client: Client, ingest: ScriptedIngest) -> None:
    ingest.answer_next(problem(401, "unknown_key"))
    score_many(client, 3)
    ingest.wait_for_requests(2)

    assert client.flush(PATIENCE_SECONDS)
    assert client.counters().sent == 3


def test_a_full_queue_drops_the_newest_and_counts_them(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(queue_size=10)
    ingest.script = lambda request: problem(503, "queue_full")

    score_many(client, 25)

    assert client.counters().dropped_because == {"queue_full": 15}
    ingest.script = lambda request: Answer()
    assert client.flush(PATIENCE_SECONDS)
    assert sorted(score["trace_id"] for score in ingest.requests[-1].scores) == sorted(f"t{n}" for n in range(10))
    assert_all_accounted_for(client)


def test_a_full_queue_drops_the_oldest_if_so_set(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(queue_size=10, when_full="drop_oldest", batch_size=5)
    ingest.script = lambda request: problem(503, "queue_full", Retry_After="3600")
    score_many(client, 5)
    ingest.wait_for_requests(1)

    score_many(client, 20)
    client.shutdown(0.1)

    assert client.counters().dropped_because == {"queue_full": 15, "shut_down": 10}
    assert_all_accounted_for(client)


def test_a_full_queue_makes_the_caller_wait_if_so_set(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(queue_size=10, when_full="block", batch_size=5)

    threads = [threading.Thread(target=score_many, args=(client, 200)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.flush(PATIENCE_SECONDS)
    assert client.counters()[:5] == (800, 800, 0, 0, 0)


def test_the_queue_is_bounded_in_bytes(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(queue_bytes=10_000, batch_age_seconds=1000)

    for _ in range(30):
        client.score("relevance", 0.5, trace_id="t1", comment="x" * 1000)

    assert client.counters().dropped_because == {"queue_full": 22}


def test_what_the_end_cuts_off_is_counted_and_said(
    make_client: Make, ingest: ScriptedIngest, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    ingest.script = lambda request: problem(503, "queue_unavailable", Retry_After="3600")
    score_many(client, 4)

    assert not client.shutdown(0.2)
    client.score("relevance", 0.5, trace_id="t1")

    assert client.counters().dropped_because == {"shut_down": 5}
    assert "4 scores dropped: 4 × shut_down" in caplog.text


def test_a_failing_callback_ends_nothing(make_client: Make, ingest: ScriptedIngest) -> None:
    def fail(trouble: Trouble) -> None:
        raise RuntimeError("mine")

    client = make_client(on_error=fail)
    ingest.answer_next(Answer(207, errors=(refusal(0, "too_long"),)))

    score_many(client, 2)

    assert client.flush(PATIENCE_SECONDS)
    score_many(client, 2)
    assert client.flush(PATIENCE_SECONDS)
    assert client.counters().sent == 3


def test_without_a_key_scores_are_dropped_and_it_is_said_once(
    make_client: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ASSAY_API_KEY", raising=False)
    client = make_client(api_key=None)

    score_many(client, 3)

    assert client.flush()
    assert client.counters().dropped_because == {"no_api_key": 3}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_eight_threads_lose_and_double_nothing(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(batch_size=50)
    ingest.answer_next(Answer(hang_up=True), problem(503, "queue_full"), problem(500, "internal_error"))
    sent: list[list[str]] = []

    threads = [threading.Thread(target=lambda: sent.append(score_many(client, 500))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.flush(PATIENCE_SECONDS)
    ids = {score_id for one in sent for score_id in one}
    assert len(ids) == 4000
    assert {score["id"] for score in ingest.scores} == ids
    assert client.counters().sent == 4000
