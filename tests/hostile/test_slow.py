"""Whoever takes his time: nobody holds a connection for longer than it takes to use it."""

import pytest

from tests.hostile.house import House
from tests.hostile.raw import Wire, chunked, head

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: as"


@pytest.fixture(params=["ingest", "api"])
def port(request: pytest.FixtureRequest, house: House) -> int:
    return house.ingest.port if request.param == "ingest" else house.api.port


def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    with Wire(port) as wire:
        assert wire.answer() is None


def test_half_a_head_is_a_408(port: int) -> None:
    with Wire(port) as wire:
        answer = wire.send(HALF_A_HEAD).answer()
        assert wire.answer() is None

    assert answer is not None
    assert answer.status == 408


@pytest.mark.parametrize("begin", [HALF_A_HEAD, b"", b"GET /", b"GET / HTTP/1.1\r\nX-A: "])
def test_a_head_that_goes_on_and_on_is_a_408(port: int, begin: bytes) -> None:
    """Each byte comes in good time: what counts is the whole."""
    with Wire(port) as wire:
        answer = wire.send(begin).drip(b"a").answer()

    assert answer is not None
    assert answer.status in (400, 408)


def test_half_a_head_behind_an_answer_is_a_408(port: int) -> None:
    with Wire(port) as wire:
        first = wire.send(head("GET", "/healthz")).answer()
        second = wire.send(HALF_A_HEAD).drip(b"a").answer()

    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (200, 408)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_body_that_stands_still_or_drips_is_a_408(house: House, framing: bytes) -> None:
    begin = b'{"trace_ids":["'
    piece = b"1\r\na\r\n" if b"chunked" in framing else b"a"
    start = chunked(begin, end=b"") if b"chunked" in framing else begin

    for service, path in ((house.ingest, "/v1/scores"), (house.api, "/v1/traces/scores")):
        request = head("POST", path, f"Authorization: Bearer {house.key}".encode(), framing) + start
        with Wire(service.port) as standing, Wire(service.port) as dripping:
            standing.send(request)
            answers = [dripping.send(request).drip(piece).answer(), standing.answer()]
            assert standing.answer() is None

        for answer in answers:
            assert answer is not None
            assert answer.status == 408
            assert b"body_timeout" in answer.body


def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(port: int) -> None:
    """The answer is there before the body is; what is missing of it must come as quickly as a head."""
    with Wire(port) as wire:
        path = "/v1/scores/delete"
        first = wire.send(head("POST", path, b"Content-Length: 1000000") + b"x").answer()
        assert wire.drip(b"x").answer() is None

    assert first is not None
    assert first.status in (401, 404)
