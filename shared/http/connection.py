"""One HTTP connection: uvicorn's, with the limits that it leaves to others.

From the end of its head until its answer is written, a request is *in hand*, and the app decides how long that takes.
The rest is bounded here: how large a head may be and how long it may take, how many requests may be sent ahead, how
long an answer may lie untaken. And what two programs could understand differently is understood in one way: trailers
are no headers, an offered upgrade is declined, chunked is the only transfer coding.
"""

import asyncio
import random
from itertools import chain
from typing import Any

import httptools
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared.http.connections import Connections
from shared.http.security_headers import ON_DATA

HEAD_BYTES_MAX = 64 << 10
HEADERS_MAX = 100
SENT_AHEAD_MAX = 16
UNTAKEN_SECONDS = 20.0
TAKEN_BYTES_MIN = 64 << 10  # in that time, of an answer that is longer


class _Refusal(Struct, frozen=True):
    status: int
    reason: str
    detail: str


class _Refused(Exception):
    """Raised where the parser calls us, which ends its work."""

    def __init__(self, refusal: _Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


_INVALID = _Refusal(400, "invalid", "Invalid HTTP request received.")
_NO_TUNNEL = _Refusal(400, "invalid", "This is no proxy.")
_CODING = _Refusal(400, "invalid", "The only transfer coding is chunked.")
_TOO_FAR_AHEAD = _Refusal(400, "sent_ahead", "Too many requests were sent ahead.")
_TOO_SLOW = _Refusal(408, "head_too_slow", "The request did not arrive in time.")
_TOO_LARGE = _Refusal(431, "head_too_large", "The head of the request is too large.")
_NO_ROOM = _Refusal(503, "no_room", "Too many connections.")


class _Trailers(list[tuple[bytes, bytes]]):
    """Forgets them. Among the headers they could pass for a key or an encoding that no proxy on the way has seen."""

    def append(self, _header: tuple[bytes, bytes]) -> None:
        pass


_NO_HEAD = _Trailers()


class Connection(HttpToolsProtocol):
    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = connections
        # Thousands that came together must not be ended together, which would hold up all others meanwhile.
        self._patience = random.uniform(0.75, 1.0)  # noqa: S311
        self.timeout_keep_alive = self.timeout_keep_alive * self._patience  # type: ignore[assignment]  # seconds
        self._is_member = False
        self._is_ending = False  # nothing more is read; what is in hand is answered
        self._bytes_to_nothing = 0  # received since a head, or a piece of a body, was complete
        self._has_offered_upgrade = False
        self._working_on: RequestResponseCycle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._untaken_timer: asyncio.TimerHandle | None = None
        self._untaken_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._is_member = self._all.enter(self)
        if self._is_member:
            self._expect_head()
        else:
            self._refuse(_NO_ROOM)

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # which uvicorn leaves running where a connection broke
        self._stop_head_timer()
        self._stop_untaken_timer()
        if self._is_member:
            self._all.leave(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._working_on = cycle
        super()._start_asgi_task(cycle, app)

    def _give_up(self) -> None:
        """uvicorn tells only the request that came last that its client has gone: those before it would write on, which
        fails as a 500."""
        self.pipeline.clear()
        if self._working_on is not None:
            self._working_on.disconnected = True
            self._working_on.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._unset_keepalive_if_required()
        self._bytes_to_nothing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            ours = error.__context__
            self._refuse(ours.refusal if isinstance(ours, _Refused) else _INVALID)
            return
        if self._bytes_to_nothing > HEAD_BYTES_MAX or len(self.headers or ()) > HEADERS_MAX:
            self._refuse(_TOO_LARGE)
        elif self._head_timer is None and not self._is_in_hand():
            self._expect_head()

    def cut(self, reason: str) -> None:
        self._all.count_cut(reason)
        self._close()

    # What the parser finds

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._has_offered_upgrade = True
            return
        if len(self.headers) > HEADERS_MAX or self._is_large_head():
            raise _Refused(_TOO_LARGE)
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
            raise _Refused(_CODING)  # before the app sees it: the parser finds it only afterwards
        self._stop_head_timer()
        self._bytes_to_nothing = 0
        super().on_headers_complete()
        self.headers = _NO_HEAD
        self._all.works(self)
        if len(self.pipeline) > SENT_AHEAD_MAX:
            raise _Refused(_TOO_FAR_AHEAD)

    def _is_large_head(self) -> bool:
        """Looked at only when what came with it is as large."""
        if self._bytes_to_nothing <= HEAD_BYTES_MAX:
            return False
        return len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > HEAD_BYTES_MAX

    def on_body(self, body: bytes) -> None:
        self._bytes_to_nothing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._has_offered_upgrade:
            super().on_message_complete()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Some clients offer HTTP/2 with their first request, whatever it is. The parser takes what follows such a head
        for another protocol, so it is given the head again, without the offer."""
        self._has_offered_upgrade = False
        if self.parser.get_method() == b"CONNECT":
            self._refuse(_NO_TUNNEL)
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, b"".join(kept), rest))

    # How a request ends

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()  # the next that was sent ahead begins
        if not is_last:
            return
        if self._is_ending or self.transport.is_closing():
            self._close()
        else:
            self._all.rests(self)

    def _is_in_hand(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request, whatever uvicorn declares
        return cycle is not None and not cycle.response_complete

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer, unless requests before it are still in hand: then they are answered, and no more."""
        self._is_ending = True
        self._all.count_cut(refusal.reason)
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # its body is what is refused
        elif not self._is_in_hand():
            self._answer(refusal)
        elif self.cycle.more_body:
            self.cycle.disconnected = True  # to the app it looks as if the client had gone
            if self.cycle.response_started:
                self._close()
            else:
                self._answer(refusal)

    def _answer(self, refusal: _Refusal) -> None:
        request_id = self._all.refusals.tell(refusal.reason, refusal.status)
        self.transport.write(_answer_of(refusal, request_id))
        self._close()

    def _close(self) -> None:
        self._is_ending = True
        self.transport.close()  # once everything is written, which may be never
        self._watch_untaken()

    # What takes too long

    def _expect_head(self) -> None:
        """However often a byte of it comes. The same for the rest of a body that is answered already."""
        self._head_timer = self.loop.call_later(self._all.head_seconds * self._patience, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._bytes_to_nothing:
            self._refuse(_TOO_SLOW)
        else:
            self.cut("idle")

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_untaken()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_untaken_timer()

    def _watch_untaken(self) -> None:
        if self._untaken_timer is None and (size := self.transport.get_write_buffer_size()):
            self._untaken_bytes = size
            self._untaken_timer = self.loop.call_later(UNTAKEN_SECONDS, self._check_taken)

    def _stop_untaken_timer(self) -> None:
        if self._untaken_timer is not None:
            self._untaken_timer.cancel()
            self._untaken_timer = None

    def _check_taken(self) -> None:
        self._untaken_timer = None
        if self.transport.get_write_buffer_size() > max(0, self._untaken_bytes - TAKEN_BYTES_MIN):
            self._all.count_cut("answer_untaken")
            self.transport.abort()
        else:
            self._watch_untaken()


def _answer_of(refusal: _Refusal, request_id: str) -> bytes:
    headers = (
        *ON_DATA,
        (b"x-request-id", request_id.encode()),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(refusal.detail)).encode()),
        (b"connection", b"close"),
        *(((b"retry-after", b"%d" % random.randint(1, 4)),) if refusal.status == 503 else ()),  # noqa: S311
    )
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return STATUS_LINE[refusal.status] + lines + b"\r\n" + refusal.detail.encode()
