"""Traces and spans: what `score()` is about, in blocks, functions, generators, tasks and threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scripted_ingest import ScriptedIngest

import assay
from assay import CarryingExecutor, Client

PATIENCE_SECONDS = 10


def sent(client: Client, ingest: ScriptedIngest) -> list[dict[str, Any]]:
    assert client.flush(PATIENCE_SECONDS)
    return ingest.scores


def test_a_score_inside_a_trace_is_about_the_trace(client: Client, ingest: ScriptedIngest) -> None:
    with client.trace("answer") as trace:
        client.score("relevance", 0.5)
        with client.span("retrieve"):
            client.score("groundedness", 0.7)
        client.score("satisfaction", "satisfied", user_id="u1")

    relevance, groundedness, satisfaction = sent(client, ingest)
    assert relevance["trace_id"] == groundedness["trace_id"] == trace.id
    assert "span_id" not in groundedness
    assert satisfaction["user_id"] == "u1"
    assert "trace_id" not in satisfaction


def test_a_span_is_scored_through_the_span(client: Client, ingest: ScriptedIngest) -> None:
    with client.trace() as trace, client.span("retrieve") as outer, client.span("rank") as inner:
        outer.add_score("context_recall", 0.5)
    inner.add_score("context_precision", 0.6)
    trace.add_score("relevance", 0.7)

    recall, precision, relevance = sent(client, ingest)
    assert (recall["trace_id"], recall["span_id"]) == (trace.id, outer.id)
    assert (precision["trace_id"], precision["span_id"]) == (trace.id, inner.id)
    assert (relevance["trace_id"], relevance.get("span_id")) == (trace.id, None)
    assert (outer.parent_id, inner.parent_id) == (trace.root_span_id, outer.id)


def test_ids_are_those_of_opentelemetry(client: Client) -> None:
    with client.trace() as trace, client.span() as span:
        assert (len(trace.id), len(span.id)) == (32, 16)
        int(trace.id, 16)
        int(span.id, 16)


def test_a_trace_can_be_continued_by_its_id(client: Client) -> None:
    with client.trace(id="t1") as trace:
        assert trace.id == "t1"
        assert client.current_trace() is trace
    assert client.current_trace() is None


def test_a_span_outside_of_any_trace_starts_one(client: Client) -> None:
    with client.span() as span:
        assert assay.current_trace_id() == span.trace_id


def test_a_step_knows_how_it_ended(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), client.trace("answer") as trace:
        1 / 0  # noqa: B018

    assert trace.error == "ZeroDivisionError"
    assert trace.ended_ns is not None
    assert trace.ended_ns >= trace.started_ns
    assert assay.current_trace_id() is None


def test_each_call_of_a_decorated_function_is_a_trace_of_its_own(client: Client) -> None:
    @client.trace
    def answer() -> Any:
        return client.current_trace()

    @client.trace("named")
    async def answer_async() -> Any:
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        return client.current_trace()

    first, second, third = answer(), answer(), asyncio.run(answer_async())
    assert len({first.id, second.id, third.id}) == 3
    assert first.name.endswith("answer")
    assert third.name == "named"


def test_a_decorated_generator_is_in_its_trace_only_while_it_runs(client: Client) -> None:
    seen = []

    @client.trace
    def tokens() -> Iterator[str]:
        for token in ("a", "b", "c"):
            with client.span(token):
                seen.append(assay.current_trace_id())
                yield token

    with client.trace() as outer:
        got = []
        for token in tokens():
            got.append(token)
            assert assay.current_trace_id() == outer.id
            assert client.current_span() is None

    assert got == ["a", "b", "c"]
    assert len(set(seen)) == 1
    assert seen[0] != outer.id


async def collect(stream: AsyncIterator[str], client: Client, outside: str) -> list[str]:
    got = []
    async for token in stream:
        assert assay.current_trace_id() == outside
        got.append(token)
    return got


def test_a_decorated_async_generator_too(client: Client) -> None:
    seen = []

    @client.span
    async def tokens() -> AsyncIterator[str]:
        for token in ("a", "b"):
            await asyncio.sleep(0)
            seen.append(client.current_span())
            yield token

    async def run() -> list[str]:
        async with client.trace() as trace:
            return await collect(tokens(), client, trace.id)

    assert asyncio.run(run()) == ["a", "b"]
    assert seen[0] is seen[1] is not None


def test_an_abandoned_generator_ends_its_step(client: Client) -> None:
    steps = []

    @client.trace
    def tokens() -> Generator[str, None, None]:
        step = client.current_trace()
        assert step is not None
        steps.append(step)
        yield "a"
        yield "b"

    stream = tokens()
    next(stream)
    stream.close()

    assert steps[0].ended_ns is not None
    assert steps[0].error is None


def test_tasks_carry_the_trace_and_do_not_mix_them(client: Client) -> None:
    async def one() -> bool:
        async with client.trace() as trace:
            await asyncio.sleep(0)
            inner = await asyncio.create_task(current())
            return bool(inner == trace.id == assay.current_trace_id())

    async def current() -> Any:
        return assay.current_trace_id()

    async def run() -> list[bool]:
        return await asyncio.gather(*(one() for _ in range(50)))

    assert all(asyncio.run(run()))


def test_threads_carry_the_trace_when_they_are_told_to(client: Client) -> None:
    found = []
    with client.trace() as trace:
        thread = threading.Thread(target=assay.carry(lambda: found.append(assay.current_trace_id())))
        with CarryingExecutor() as carrying, ThreadPoolExecutor() as plain:
            mapped = list(carrying.map(lambda _: assay.current_trace_id(), range(5)))
            alone = plain.submit(assay.current_trace_id).result()
    thread.start()
    thread.join()

    assert found == [trace.id]
    assert mapped == [trace.id] * 5
    assert alone is None


def test_the_active_opentelemetry_span_is_the_place(client: Client, ingest: ScriptedIngest) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    tracer = sdk.TracerProvider().get_tracer("test")

    with tracer.start_as_current_span("request") as request:
        context = request.get_span_context()
        client.score("relevance", 0.1)
        span = client.current_span()
        assert span is not None
        span.add_score("groundedness", 0.2)
        with client.trace("answer") as trace, client.span("retrieve") as ours:
            client.score("coherence", 0.3)
            with tracer.start_as_current_span("database") as database:
                inner = client.current_span()
                assert inner is not None
                assert inner.id == f"{database.get_span_context().span_id:016x}"
            assert client.current_span() is ours

    trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    relevance, groundedness, coherence = sent(client, ingest)
    assert relevance["trace_id"] == coherence["trace_id"] == trace.id == trace_id
    assert (groundedness["trace_id"], groundedness["span_id"]) == (trace_id, span_id)
    assert ours.trace_id == trace_id


def test_a_new_opentelemetry_trace_inside_ours_is_the_place(client: Client) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    tracer = sdk.TracerProvider().get_tracer("test")

    with client.trace() as trace:
        with tracer.start_as_current_span("job") as job:
            assert assay.current_trace_id() == f"{job.get_span_context().trace_id:032x}"
        assert assay.current_trace_id() == trace.id
