"""An HTTP server that answers as it is told and remembers what it got; by default it takes every score in.

It stands for the port between the client and any server. What the real one says is in the tests of the repository.
"""

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Optional

PATIENCE_SECONDS = 10.0


class Request(NamedTuple):
    """One request. `scores` is empty where there is no batch in it."""

    path: str
    headers: Mapping[str, str]
    scores: list[dict[str, Any]]
    body: bytes


class Answer(NamedTuple):
    """`body` None means the answer of an ingest that takes all in. `hang_up`: close without any."""

    status: int = 202
    headers: Mapping[str, str] = {}
    body: Optional[Any] = None
    hang_up: bool = False
    errors: tuple[dict[str, Any], ...] = ()


def problem(status: int, code: str, **headers: str) -> Answer:
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, names, {"status": status, "code": code, "detail": f"it is {code}", "request_id": "r1"})


def refusal(index: int, code: str, detail: str = "no") -> dict[str, Any]:
    return {"index": index, "code": code, "pointer": f"/scores/{index}", "detail": detail}


class ScriptedIngest:
    """`script` decides each answer; `answer_next` gives the next ones, and after them all is taken in again."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: Callable[[Request], Answer] = lambda request: Answer()
        self._next: list[Answer] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ScriptedIngest":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer_next(self, *answers: Answer) -> None:
        self._next += answers

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Every score of every request."""
        return [score for request in self.requests for score in request.scores]

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE_SECONDS), self.requests

    def take(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            told = self._next.pop(0) if self._next else None
        return told or self.script(request)


def _handler(ingest: ScriptedIngest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                content = json.loads(body)
            except ValueError:
                content = None
            scores = content.get("scores", []) if isinstance(content, dict) else []
            self._answer(Request(self.path, dict(self.headers), scores, body))

        def do_GET(self) -> None:
            self._answer(Request(self.path, dict(self.headers), [], b""))

        def _answer(self, request: Request) -> None:
            answer = ingest.take(request)
            if answer.hang_up:
                self.close_connection = True
                return
            body = json.dumps(_body(request, answer)).encode()
            self.send_response(answer.status)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _body(request: Request, answer: Answer) -> Any:
    if answer.body is not None:
        return answer.body
    refused = {error["index"] for error in answer.errors}
    ids = [score.get("id") for index, score in enumerate(request.scores) if index not in refused]
    return {"batch_id": "1-0-0", "accepted": len(ids), "rejected": len(refused), "ids": ids, "errors": answer.errors}
