"""Scoring in a celery task, in the trace of the request that sent it.

    CELERY_FOLDER=/tmp/broker celery -A celery_worker worker
    CELERY_FOLDER=/tmp/broker python celery_worker.py      # a request that has its answer scored by a worker

Each worker process has a client of its own after the fork, and sends what it has when it ends. With CELERY_FOLDER the
broker is a folder; without, it is in memory, and a worker in a thread of this program does the work.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_shutdown

import assay

FOLDER = os.environ.get("CELERY_FOLDER")
app = Celery("examples", broker="memory://", backend="cache+memory://")
if FOLDER:
    Path(FOLDER, "results").mkdir(parents=True, exist_ok=True)
    app.conf.broker_url = "filesystem://"
    app.conf.broker_transport_options = {"data_folder_in": FOLDER, "data_folder_out": FOLDER, "control_folder": FOLDER}
    app.conf.result_backend = Path(FOLDER, "results").as_uri()


@app.task(name="judge_length")
def judge_length(answer: str, trace_id: str) -> str:
    """Score an answer; `trace_id` travels as an argument, and continues the trace here."""
    with assay.trace("judge", id=trace_id):
        return assay.score("brevity", max(0.0, 1 - len(answer) / 1000), metadata={"process": os.getpid()})


@worker_process_shutdown.connect
def send_what_is_left(**_: object) -> None:
    assay.shutdown()


def request() -> None:
    with assay.trace("request") as trace:
        assay.score("answered", True)
        result = judge_length.delay("Gold is assayed with fire", trace.id)
    print(f"score {result.get(timeout=30)} of trace {trace.id}")


def main() -> None:
    if FOLDER:
        request()
        return
    from celery.contrib.testing.worker import start_worker

    with start_worker(app, perform_ping_check=False, pool="solo"):
        request()


if __name__ == "__main__":
    main()
