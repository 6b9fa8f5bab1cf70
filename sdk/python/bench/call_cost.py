"""What `score()` costs its caller, and what it does to an application while the server is up, away, slow or failing.

    python bench/call_cost.py [--seconds 5] [--rounds 3] [--json]

1. `score()`, one thread: the time of each of 200,000 calls, in each state of the server.
2. An application: 4 threads each serve a request every 8 ms, which is about 1 ms of work and 3 scores. The time of
   each request, beside the same application without scores.

Every measurement is a process of its own, and so is the server; states take turns, so that what else the machine does
falls on all alike. `--seconds 0` leaves the application out; `--json` prints every round of the calls, in seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import socket
import statistics
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from assay import Client

STATES = ("no scores", "up", "away", "slow", "500")
SLOW_SECONDS = 5.0
CALLS = 200_000
THREADS = 4
SCORES_EACH = 3
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    calls: dict[str, list[dict[str, float]]] = {state: [] for state in STATES}
    requests: dict[str, list[dict[str, float]]] = {state: [] for state in STATES}
    for _ in range(options.rounds):
        for state in STATES:
            if state != "no scores":
                calls[state].append(in_process(measure_calls, state, 0.0))
            if options.seconds:
                requests[state].append(in_process(measure_application, state, options.seconds))
    if options.json:
        print(json.dumps(calls))
        return
    print(f"Python {sys.version.split()[0]}")
    show("score(), one thread, µs", calls, 1e6)
    if options.seconds:
        show(f"a request with {SCORES_EACH} scores, {THREADS} threads, ms", requests, 1e3)


def show(title: str, found: dict[str, list[dict[str, float]]], scale: float) -> None:
    """Print the median over the rounds."""
    print(f"\n{title}\n  {'server':<12}{'p50':>9}{'p99':>9}{'p99.9':>9}")
    for state, rounds in found.items():
        if rounds:
            cells = [statistics.median(one[key] for one in rounds) * scale for key in ("p50", "p99", "p999")]
            print(f"  {state:<12}" + "".join(f"{cell:9.3f}" for cell in cells))


def in_process(measure: Any, state: str, seconds: float) -> dict[str, float]:
    """Run a measurement in a fresh process, with a server in another."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    port_ours, port_theirs = context.Pipe()
    server = context.Process(target=serve, args=(state, port_theirs), daemon=True)
    server.start()
    process = context.Process(target=measure, args=(state, port_ours.recv(), seconds, theirs), daemon=True)
    process.start()
    result: dict[str, float] = ours.recv()
    for one in (process, server):
        one.kill()
        one.join()
    return result


def client_of(state: str, port: int) -> Client:
    logging.disable(logging.CRITICAL)
    url = f"http://127.0.0.1:{port}"
    access = {"api_key": "assay_bench", "ingest_url": url, "api_url": url}  # with its receipts asked for
    return Client(**access, enabled=state != "no scores", queue_size=50_000)


def measure_calls(state: str, port: int, _seconds: float, result: Any) -> None:
    client = client_of(state, port)
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        client.score("relevance", 0.92, trace_id=TRACE_ID, comment="on topic", metadata={"release": "v2"})
        times.append(time.perf_counter() - began)
    result.send(quantiles(times))


def measure_application(state: str, port: int, seconds: float, result: Any) -> None:
    client = client_of(state, port)
    times: list[float] = []
    threads = [threading.Thread(target=serve_requests, args=(client, seconds, times)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.send(quantiles(times))


def serve_requests(client: Client, seconds: float, times: list[float]) -> None:
    """Serve a request every 8 ms: a fixed rate, so that a slow one does not hide others."""
    text = b"a text that stands for work" * 40_000  # hashing it takes about 1 ms
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        hashlib.sha256(text).hexdigest()
        for _ in range(SCORES_EACH):
            client.score("relevance", 0.92, trace_id=TRACE_ID, comment="on topic", metadata={"release": "v2"})
        times.append(time.perf_counter() - began)
        due += 0.008


def quantiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {name: ordered[int(len(ordered) * part)] for name, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}


def serve(state: str, port: Any) -> None:
    """Be a server in a state; send its port first."""
    if state in ("away", "no scores"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        port.send(free)
        threading.Event().wait()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    port.send(server.server_address[1])
    server.serve_forever()


def handler(state: str) -> type[BaseHTTPRequestHandler]:
    accepted = json.dumps({"batch_id": "1", "accepted": 1, "rejected": 0, "ids": [], "errors": []}).encode()
    receipt = json.dumps({"batch_id": "1", "status": "done", "rejections": []}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if state == "slow":
                time.sleep(SLOW_SECONDS)
            self._answer(500 if state == "500" else 202, accepted)

        def do_GET(self) -> None:
            self._answer(200, receipt)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    main()
