"""HTTP that is broken, ambiguous or meant to deceive: the right 4xx or the right answer, never a 5xx, and nothing that
one side of a connection could take for another request than the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.hostile.house import House
from tests.hostile.raw import Answer, Wire, chunked, head, post

KB = 1000
INGEST_BODY = b'{"scores":[{"trace_id":"t","name":"n","value":1}]}'
API_BODY = b'{"trace_ids":["t"]}'


@dataclass(frozen=True)
class Target:
    """A service, and a POST that it answers with `good`."""

    port: int
    path: str
    body: bytes
    good: int
    key: str

    def post(self, *lines: bytes, length: int | None = None) -> bytes:
        return post(self.path, self.key, self.body, *lines, length=length)

    def head(self, *lines: bytes, version: str = "HTTP/1.1") -> bytes:
        """Of the same, without a word about the body's length."""
        return head("POST", self.path, f"Authorization: Bearer {self.key}".encode(), *lines, version=version)

    def chunks(self, *lines: bytes, coding: bytes = b"Transfer-Encoding: chunked", version: str = "HTTP/1.1") -> bytes:
        return self.head(coding, *lines, version=version) + chunked(self.body)

    def framed(self, line: bytes) -> bytes:
        """With `line` about the body's length."""
        return self.head(line) + self.body


@pytest.fixture(params=["ingest", "api"])
def target(request: pytest.FixtureRequest, house: House) -> Target:
    if request.param == "ingest":
        return Target(house.ingest.port, "/v1/scores", INGEST_BODY, 202, house.key)
    return Target(house.api.port, "/v1/traces/scores", API_BODY, 200, house.key)


Make = Callable[[Target], bytes]


def _get(path: str, *lines: bytes, version: str = "HTTP/1.1") -> Make:
    return lambda _: head("GET", path, *lines, version=version)


def _length(said: bytes) -> Make:
    return lambda target: target.framed(b"Content-Length: " + said)


def _coding(said: bytes) -> Make:
    return lambda target: target.chunks(coding=b"Transfer-Encoding:" + said)


def _chunks(*parts: bytes) -> Make:
    return lambda target: target.head(b"Transfer-Encoding: chunked") + b"".join(parts)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: assay\r\n\r\n"

# What is refused by the parser, and ends its connection: where the next request begins can't be told.
BROKEN: dict[str, Make] = {
    # lengths
    "a negative length": _length(b"-1"),
    "a length with a sign": _length(b"+50"),
    "a hexadecimal length": _length(b"0x32"),
    "a length with a blank in it": _length(b"5 0"),
    "an empty length": _length(b""),
    "a list of lengths": _length(b"50, 50"),
    "a length beyond 64 bits": _length(b"18446744073709551666"),
    "two different lengths": lambda target: target.post(b"Content-Length: 51"),
    "two equal lengths": lambda target: target.framed(b"Content-Length: 50\r\nContent-Length: 50"),
    # length and coding
    "a length and chunks": lambda target: (
        target.head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED
    ),
    "chunks and a length": lambda target: (
        target.head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n" + SMUGGLED
    ),
    # codings
    "an unknown coding": _coding(b" xchunked"),
    "the coding identity": _coding(b" identity"),
    "a coding behind chunked": _coding(b" chunked, identity"),
    "a coding before chunked": _coding(b" gzip, chunked"),
    "chunked in quotes": _coding(b' "chunked"'),
    "two codings": lambda target: target.chunks(b"Transfer-Encoding: chunked"),
    "chunked twice": _coding(b" chunked, chunked"),
    "a blank before the colon": lambda target: target.chunks(coding=b"Transfer-Encoding : chunked"),
    # chunks
    "a chunk size that is none": _chunks(b"zz\r\nabc\r\n"),
    "a negative chunk size": _chunks(b"-1\r\nabc\r\n"),
    "a chunk size with 0x": _chunks(b"0x3\r\nabc\r\n"),
    "a chunk size beyond 64 bits": _chunks(b"f" * 17 + b"\r\nabc\r\n"),
    "a chunk longer than it says": _chunks(b"2\r\nabc\r\n0\r\n\r\n"),
    "chunks with bare line feeds": _chunks(b"3\nabc\n0\n\n"),
    "chunks with a bare carriage return": _chunks(b"3\rabc\r0\r\r"),
    # lines
    "lines that end with a line feed alone": lambda target: target.post().replace(b"\r\n", b"\n"),
    "lines that end with a carriage return alone": lambda target: target.post().replace(b"\r\n", b"\r"),
    "a header that goes on in the next line": lambda target: target.post(b"X-A: b\r\n c"),
    "a coding that goes on in the next line": lambda target: target.chunks(coding=b"Transfer-Encoding:\r\n chunked"),
    "NUL in a header": lambda target: target.post(b"X-A: a\0b"),
    "a carriage return in a header": lambda target: target.post(b"X-A: a\rb"),
    "a line feed in a header": lambda target: target.post(b"X-A: a\nX-B: c"),
    "a blank in a header's name": lambda target: target.post(b"X A: b"),
    "NUL in a header's name": lambda target: target.post(b"X\0A: b"),
    "a header without a name": lambda target: target.post(b": b"),
    "a header without a colon": lambda target: target.post(b"XA"),
    # first lines
    "a method that is none": lambda _: head("FETCH", "/v1/scores"),
    "a method in small letters": lambda _: head("get", "/healthz"),
    "CONNECT": lambda _: head("CONNECT", "assay:443"),
    "a target without a slash": lambda _: head("GET", "healthz"),
    "a target with a broken host": lambda _: head("GET", "http://[::1/healthz"),
    "a target that is no ASCII": lambda _: head("GET", "/ü"),
    "HTTP/1.2": _get("/healthz", version="HTTP/1.2"),
    "HTTP/3.0": _get("/healthz", version="HTTP/3.0"),
    "no HTTP at all": _get("/healthz", version="HTTQ/1.1"),
    "the preface of HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the hello of TLS": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "every byte there is": lambda _: bytes(range(256)) * 4,
}

# What is refused because there is too much of it.
TOO_LARGE: dict[str, Make] = {
    "10,000 headers": lambda target: target.post(*(b"X-%d: a" % number for number in range(10_000))),
    "101 headers": lambda _: head("GET", "/healthz", *[b"X-A: b"] * 99),
    "a header of 1 MB": lambda target: target.post(b"X-A: " + b"a" * KB * KB),
    "a header of 70 kB": lambda _: head("GET", "/healthz", b"X-A: " + b"a" * 70 * KB),
    "a header's name of 70 kB": lambda _: head("GET", "/healthz", b"a" * 70 * KB + b": b"),
    "a target of 1 MB": lambda _: head("GET", "/healthz?" + "a" * KB * KB),
    "a target of 70 kB": lambda _: head("GET", "/healthz?" + "a" * 70 * KB),
    "a head that does not end": lambda _: b"GET /healthz HTTP/1.1\r\n" + b"X-A: b\r\n" * 500_000,
    "a header that does not end": lambda _: b"GET /healthz HTTP/1.1\r\nX-A: " + b"b" * 3 * KB * KB,
    "trailers that do not end": lambda target: (
        target.head(b"Transfer-Encoding: chunked", b"Authorization: Bearer x") + b"0\r\n" + b"X-A: b\r\n" * 500_000
    ),
    "empty lines without end": lambda _: b"\r\n" * 1_000_000,
}

# What is understood, with the status that it gets; the connection goes on. "good" is the target's own.
UNDERSTOOD: dict[str, tuple[Make, int | str]] = {
    "the good one": (lambda target: target.post(), "good"),
    "chunks": (lambda target: target.chunks(), "good"),
    "chunks, loudly": (_coding(b"\tCHUNKED "), "good"),
    "a chunk with an extension": (
        lambda target: (
            target.head(b"Transfer-Encoding: chunked") + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(target.body), target.body)
        ),
        "good",
    ),
    "a key in a trailer": (
        lambda target: (
            head("POST", target.path, b"Transfer-Encoding: chunked")
            + chunked(target.body, end=b"0\r\nAuthorization: Bearer %s\r\n\r\n" % target.key.encode())
        ),
        401,
    ),
    "an encoding in a trailer": (
        lambda target: (
            target.head(b"Transfer-Encoding: chunked")
            + chunked(target.body, end=b"0\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\n\r\n")
        ),
        "good",
    ),
    "an offer of HTTP/2": (
        lambda target: target.post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
        "good",
    ),
    "an offer of HTTP/2 with chunks": (
        lambda target: target.chunks(b"Connection: Upgrade", b"Upgrade: h2c"),
        "good",
    ),
    "an offer of a WebSocket": (_get("/v1/scores", b"Connection: Upgrade", b"Upgrade: websocket"), "any"),
    "headers of 60 kB": (_get("/healthz", b"X-A: " + b"a" * 60 * KB), 200),
    "100 headers": (_get("/healthz", *[b"X-A: b"] * 98), 200),
    "a header in Latin-1": (lambda target: target.post(b"X-A: \xff\xfe"), "good"),
    "two content types": (lambda target: target.post(b"Content-Type: text/html"), 415),
    "no host": (lambda _: b"GET /healthz HTTP/1.1\r\n\r\n", 200),
    "a host of somebody else": (lambda _: b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
    "a target with a host": (_get("http://evil.example/healthz"), 200),
    "empty lines before": (lambda target: b"\r\n" * 10 + target.post(), "good"),
    "an expectation": (lambda target: target.post(b"Expect: 200-ok"), "good"),
    "a body where none is wanted": (lambda _: head("GET", "/healthz", b"Content-Length: 5") + b"hello", 200),
    # paths
    "up from the files": (_get("/docs/ui/../../../../../../etc/passwd"), 404),
    "up, encoded": (_get("/docs/ui/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), 404),
    "up, with encoded slashes": (_get("/docs/ui/..%2f..%2f..%2f..%2fetc%2fpasswd"), 404),
    "up, encoded twice": (_get("/docs/ui/%252e%252e%252fetc%252fpasswd"), 404),
    "up, with backslashes": (_get("/docs/ui/..\\..\\..\\etc\\passwd"), 404),
    "an absolute file": (_get("/docs/ui//etc/passwd"), 404),
    "NUL in a path": (_get("/docs/ui/%00"), 404),
    "a name too long for a file": (_get("/docs/ui/" + "a" * 5000), 404),
    "a line in a path": (_get("/v1%0d%0aX-Injected:%20yes"), 404),
    "no UTF-8 in a path": (_get("/%ff%fe"), 404),
    "a line behind a path": (_get("/healthz%0a"), 404),
    "a line behind a path that a proxy keeps back": (_get("/metrics%0A"), 404),
    "a path that could be cut in many ways": (_get("/v1/traces/" + "/spans/" * 8_000), 404),
    "two slashes": (_get("//healthz"), 404),
    "a slash at the end": (lambda target: target.post().replace(b" HTTP/1.1", b"/ HTTP/1.1", 1), 404),
    "a dot": (_get("/./healthz"), 404),
    "a star": (lambda _: head("OPTIONS", "*"), 404),
    # methods
    "TRACE": (lambda target: head("TRACE", target.path), 405),
    "a method in a header": (lambda target: target.post(b"X-HTTP-Method-Override: DELETE"), "good"),
    "a method that the web does not know": (lambda target: head("PROPFIND", target.path), 405),
}

# Answered, and the connection ends as the client wished.
LAST: dict[str, Make] = {
    "HTTP/1.0": lambda _: head("GET", "/healthz", version="HTTP/1.0"),
    "HTTP/0.9": lambda _: b"GET /healthz\r\n\r\n",
    "HTTP/2.0 in the first line": lambda _: head("GET", "/healthz", version="HTTP/2.0"),
    "a request to close": lambda _: head("GET", "/healthz", b"Connection: close"),
}


def probe(wire: Wire) -> Answer | None:
    """Another request on the same connection: its own answer comes back, and no other; or none, if it was closed."""
    wire.send(head("GET", "/healthz", b"X-Request-Id: the-probe"))
    answer = wire.answer()
    assert answer is None or (answer.status, answer.headers["x-request-id"]) == (200, "the-probe")
    return answer


def assert_serves(target: Target) -> None:
    with Wire(target.port) as wire:
        answer = wire.send(target.post()).answer()

    assert answer is not None
    assert answer.status == target.good


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_a_400_and_the_end_of_its_connection(target: Target, name: str) -> None:
    with Wire(target.port) as wire:
        answer = wire.send(BROKEN[name](target)).answer()
        after = probe(wire)

    assert answer is not None
    assert answer.status == 400
    assert (answer.headers["connection"], answer.headers["x-content-type-options"]) == ("close", "nosniff")
    assert after is None
    assert_serves(target)


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_head_that_is_too_large_is_a_431_and_the_end_of_its_connection(target: Target, name: str) -> None:
    with Wire(target.port) as wire:
        answer = wire.send(TOO_LARGE[name](target)).answer()
        after = probe(wire)

    # Whoever goes on sending may find the connection gone before he reads the answer.
    assert answer is None or answer.status in (401, 431)
    assert after is None
    assert_serves(target)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_understood_is_answered_and_the_connection_goes_on(target: Target, name: str) -> None:
    make, status = UNDERSTOOD[name]

    with Wire(target.port) as wire:
        answer = wire.send(make(target)).answer()
        after = probe(wire)

    assert answer is not None
    assert answer.status < 500
    if status != "any":
        assert answer.status == (target.good if status == "good" else status)
    assert "location" not in answer.headers
    assert "x-injected" not in answer.headers
    assert after is not None


@pytest.mark.parametrize("name", LAST)
def test_an_old_client_is_answered_and_its_connection_ends(target: Target, name: str) -> None:
    with Wire(target.port) as wire:
        answer = wire.send(LAST[name](target)).answer()
        after = probe(wire)

    assert answer is not None
    assert (answer.status, after) == (200, None)


def test_a_body_longer_than_its_length_is_no_second_request(target: Target) -> None:
    """What is behind the length is the next request, and is none: the first one is answered, and that is all."""
    with Wire(target.port) as wire:
        first = wire.send(target.post(length=len(target.body) - 5)).answer()
        assert wire.answer() is None

    assert first is not None
    assert first.status == 400
    assert b"invalid_json" in first.body


def test_a_request_in_hand_is_answered_when_rubbish_follows_it(target: Target) -> None:
    """A 400 in its place would say that nothing was queued."""
    with Wire(target.port) as wire:
        first = wire.send(target.post() + b"\0rubbish\r\n\r\n").answer()
        assert wire.answer() is None

    assert first is not None
    assert first.status == target.good


def test_requests_before_a_broken_body_are_answered(target: Target) -> None:
    broken = target.head(b"Transfer-Encoding: chunked") + b"zz\r\n"

    with Wire(target.port) as wire:
        wire.send(target.post() + target.post() + broken)
        answers = [wire.answer() for _ in range(3)]

    assert [answer and answer.status for answer in answers] == [target.good, target.good, None]


def test_requests_sent_ahead_are_answered_in_their_order(target: Target) -> None:
    with Wire(target.port) as wire:
        wire.send(b"".join(target.post(b"X-Request-Id: r%d" % number) for number in range(10)))
        answers = [wire.answer() for _ in range(10)]
        after = probe(wire)

    assert [answer and answer.headers["x-request-id"] for answer in answers] == [f"r{number}" for number in range(10)]
    assert after is not None


def test_no_more_than_some_requests_are_taken_ahead(target: Target) -> None:
    """14 MB of them took a gigabyte."""
    with Wire(target.port) as wire:
        wire.send(head("GET", "/healthz") * 1000)
        answered = 0
        while (answer := wire.answer()) is not None:
            assert answer.status == 200
            answered += 1

    assert 10 < answered < 30
    assert_serves(target)


def test_who_hangs_up_on_requests_sent_ahead_is_no_failure_of_ours(target: Target) -> None:
    """Each was a 500 in the log, and in the metrics. (The fixture looks into the log.)"""
    for _ in range(20):
        with Wire(target.port) as wire:
            wire.send(target.post() * 10)

    assert_serves(target)


def test_the_body_of_an_offered_upgrade_is_no_request(target: Target) -> None:
    """Sent in a piece of its own it would be the next request to whoever believes in the upgrade."""
    offer = head("POST", target.path, b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: %d" % len(SMUGGLED))

    with Wire(target.port) as wire:
        first = wire.send(offer).answer()
        after = probe(wire.send(SMUGGLED))

    assert first is not None
    assert first.status == 401
    assert after is not None


def test_a_head_is_understood_in_whatever_pieces_it_comes(target: Target) -> None:
    request = target.post(b"Connection: Upgrade", b"Upgrade: h2c", b"X-A: " + b"a" * 300)

    with Wire(target.port) as wire:
        for at in range(0, len(request), 7):
            wire.send(request[at : at + 7])
        answer = wire.answer()

    assert answer is not None
    assert answer.status == target.good


def test_who_waits_to_be_asked_for_the_body_is_asked(target: Target) -> None:
    with Wire(target.port) as wire:
        asked = wire.send(target.head(b"Expect: 100-continue", b"Content-Length: %d" % len(target.body))).answer(
            has_body=False
        )
        answer = wire.send(target.body).answer()

    assert asked is not None
    assert answer is not None
    assert (asked.status, answer.status) == (100, target.good)
