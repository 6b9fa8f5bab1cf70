"""What breaks a rule after it was taken in: asked for in the background, counted, logged, told."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted_ingest import Answer, Request, ScriptedIngest, problem

from assay import Client, Trouble

Make = Callable[..., Client]
PATIENCE_SECONDS = 10.0
REJECTION = {"index": 0, "id": "s1", "code": "above_maximum", "pointer": "/value", "detail": "1.5 is above 1.0"}


def receipt(status: str = "done", *rejections: dict[str, Any]) -> Answer:
    return Answer(200, body={"batch_id": "1-0-0", "status": status, "rejections": list(rejections)})


def answering(*receipts: Answer) -> Callable[[Request], Answer]:
    """A server that takes every score in, and gives these receipts, the last one again and again."""
    left = list(receipts)

    def script(request: Request) -> Answer:
        if not is_receipt(request):
            return Answer()
        return left.pop(0) if len(left) > 1 else left[0]

    return script


def is_receipt(request: Request) -> bool:
    return request.path.startswith("/v1/batches/")


def asked(ingest: ScriptedIngest) -> int:
    return sum(map(is_receipt, ingest.requests))


def score_one(client: Client) -> None:
    client.score("relevance", 1.5, trace_id="t1", id="s1")
    assert client.flush(PATIENCE_SECONDS)


def test_what_breaks_a_rule_later_is_counted_logged_and_told(
    make_client: Make, ingest: ScriptedIngest, caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[Trouble] = []
    client = make_client(receipts_seconds=5, on_error=troubles.append)
    ingest.script = answering(receipt("done", REJECTION))

    score_one(client)
    client.shutdown(PATIENCE_SECONDS)

    counted = client.counters()
    assert (counted.sent, counted.rejected, counted.rejected_later) == (1, 0, 1)
    assert counted.rejected_later_because == {"above_maximum": 1}
    assert troubles == [Trouble("rejected_later", "above_maximum", "1.5 is above 1.0", 1, {"id": "s1"})]
    assert "1 score taken in and rejected later: 1 × above_maximum: 1.5 is above 1.0 (such as score s1)" in caplog.text


def test_a_batch_that_is_pending_is_asked_for_again_and_counted_once(make_client: Make, ingest: ScriptedIngest) -> None:
    told = threading.Event()
    client = make_client(receipts_seconds=0.01, on_error=lambda _: told.set())
    ingest.script = answering(receipt("pending"), receipt("pending"), receipt("done", REJECTION))

    score_one(client)

    assert told.wait(PATIENCE_SECONDS)
    client.shutdown(PATIENCE_SECONDS)
    assert asked(ingest) == 3
    assert client.counters().rejected_later == 1


def test_an_api_that_is_away_for_a_while_is_asked_again(make_client: Make, ingest: ScriptedIngest) -> None:
    told = threading.Event()
    client = make_client(receipts_seconds=0.01, on_error=lambda _: told.set())
    ingest.script = answering(
        Answer(hang_up=True), problem(503, "store_unavailable"), problem(401, "unknown_key"), receipt("done", REJECTION)
    )

    score_one(client)

    assert told.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("answer", [problem(404, "not_found"), Answer(200, body=["no receipt"])])
def test_what_has_no_receipt_is_let_go(make_client: Make, ingest: ScriptedIngest, answer: Answer) -> None:
    client = make_client(receipts_seconds=5)
    ingest.script = answering(answer)

    score_one(client)
    client.shutdown(PATIENCE_SECONDS)

    assert asked(ingest) == 1


def test_a_key_that_may_not_read_is_not_tried_again(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(receipts_seconds=0.01)
    ingest.script = answering(problem(403, "missing_scope"))

    score_one(client)
    ingest.wait_for_requests(2)
    for _ in range(3):
        score_one(client)
    client.shutdown(PATIENCE_SECONDS)

    assert asked(ingest) == 1
    assert client.counters().sent == 4


def test_nothing_is_asked_when_it_is_switched_off(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(receipts_seconds=0)

    score_one(client)
    client.shutdown(PATIENCE_SECONDS)

    assert asked(ingest) == 0


def test_a_key_goes_to_no_api_that_was_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_API_URL", raising=False)

    def every(**settings: str) -> float:
        return Client(api_key="assay_x", enabled=False, **settings).settings.receipts_seconds

    assert every(ingest_url="https://ingest.example") == 0
    assert every(ingest_url="https://ingest.example", api_url="https://api.example") > 0
    assert every() > 0


def test_an_api_that_does_not_answer_holds_up_nothing(make_client: Make, ingest: ScriptedIngest) -> None:
    client = make_client(receipts_seconds=0.01)
    released = threading.Event()

    def hang(request: Request) -> Answer:
        if is_receipt(request):
            released.wait(60)
        return Answer()

    ingest.script = hang
    score_one(client)
    ingest.wait_for_requests(2)
    score_one(client)

    assert client.shutdown(PATIENCE_SECONDS)
    assert client.counters().sent == 2
    assert not released.is_set()
    released.set()
