"""Reading and the asyncio client against scripted answers; what the real api says is tested beside the server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from scripted_ingest import Answer, Request, ScriptedIngest, problem

from assay import ApiError, AsyncClient, Client, ConfigurationError, NotAllowed, NotFound, Unreachable

Make = Callable[..., Client]


def pages(request: Request) -> Answer:
    """Three pages of two items."""
    place = int(request.path.split("cursor=")[1]) if "cursor=" in request.path else 0
    items = [{"id": f"s{place}", "metadata": {"a": place}}, {"id": f"s{place + 1}", "metadata": None}]
    return Answer(200, body={"items": items, "next_cursor": str(place + 2) if place < 4 else None})


def test_pages_are_fetched_as_they_are_needed(client: Client, ingest: ScriptedIngest) -> None:
    ingest.script = pages
    scores = client.scores(name=["a", "b"], metadata={"release": "v2"})

    first = next(iter(scores))
    assert first["id"] == "s0"
    assert len(ingest.requests) == 1
    assert "name=a&name=b&metadata.release=v2" in ingest.requests[0].path
    assert [score["id"] for score in scores] == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert [score["id"] for score in client.scores(limit=3)] == ["s0", "s1", "s2"]


def test_scores_become_a_data_frame(client: Client, ingest: ScriptedIngest) -> None:
    pytest.importorskip("pandas")
    ingest.script = pages

    frame = client.scores().to_pandas()

    assert list(frame["id"]) == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert frame["metadata.a"].sum() == 6


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(401, "unknown_key"), NotAllowed),
        (problem(403, "missing_scope"), NotAllowed),
        (problem(404, "score_rejected"), NotFound),
        (problem(400, "unknown_parameter"), ApiError),
        (problem(503, "query_timeout"), ApiError),
    ],
)
def test_a_problem_is_an_exception_with_its_code(
    client: Client, ingest: ScriptedIngest, answer: Answer, error: type[ApiError]
) -> None:
    ingest.answer_next(answer)

    with pytest.raises(error) as raised:
        client.score_by_id("s1")

    assert type(raised.value) is error
    assert isinstance(answer.body, dict)
    assert raised.value.code == answer.body["code"]
    assert raised.value.request_id == "r1"


def test_reading_tries_again_when_the_server_asks_for_it(client: Client, ingest: ScriptedIngest) -> None:
    ingest.answer_next(problem(503, "store_unavailable"), Answer(hang_up=True), Answer(200, body={"id": "s1"}))

    assert client.score_by_id("s1") == {"id": "s1"}


def test_nobody_there_is_said_so(make_client: Make) -> None:
    client = make_client(api_url="http://127.0.0.1:9")

    with pytest.raises(Unreachable):
        client.score_by_id("s1")


def test_the_asyncio_client_sends_and_reads(ingest: ScriptedIngest) -> None:
    async def run() -> list[Any]:
        async with AsyncClient(api_key="k", ingest_url=ingest.url, api_url=ingest.url) as client:
            async with client.trace() as trace, client.span() as span:
                client.score("relevance", 0.5)
                client.thumbs(True)
                span.add_score("groundedness", 0.5)
            assert await client.flush(10)
            assert [score["trace_id"] for score in ingest.scores] == [trace.id] * 3
            assert client.counters().sent == 3
            ingest.script = pages
            return [score["id"] async for score in client.scores()]

    assert asyncio.run(run()) == ["s0", "s1", "s2", "s3", "s4", "s5"]


def test_the_asyncio_client_never_blocks_its_loop() -> None:
    with pytest.raises(ConfigurationError):
        AsyncClient(api_key="k", when_full="block")


def test_a_flush_that_is_cancelled_does_not_hold_up_the_end_of_the_loop(ingest: ScriptedIngest) -> None:
    ingest.script = lambda request: problem(503, "queue_unavailable", Retry_After="3600")

    async def run() -> int:
        client = AsyncClient(api_key="k", ingest_url=ingest.url, shutdown_seconds=0)
        client.score("relevance", 0.5, trace_id="t1")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.flush(), 0.1)
        pending = client.counters().pending
        await client.shutdown()
        return pending

    assert asyncio.run(run()) == 1  # which waits for every thread of the loop


def test_the_asyncio_client_has_what_the_other_has() -> None:
    def surface(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert surface(Client) - surface(AsyncClient) == {"score", "after_fork", "close_reading"}  # `score` is set at init
