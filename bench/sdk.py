"""`python -m bench.sdk`: a million scores through the SDK from 8 threads, while ingest is killed and started again.

Ends with exit code 0 when every id that `score()` returned is stored once, and none was dropped: read back from the
api, page by page, and counted there too.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.house import CHECKOUT, House, Service, open_house
from deploy.local.process import wait_until

sys.path.insert(0, str(CHECKOUT / "sdk" / "python" / "src"))

from assay import Client, Unreachable

PATIENCE_SECONDS = 1200.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sdk", description=__doc__)
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    logging.basicConfig(format="  sdk: %(message)s")
    with (
        tempfile.TemporaryDirectory(prefix="assay-bench-") as folder,
        open_house(Path(folder)) as house,
        house.service("worker"),
        house.service("api") as api,
        house.service("ingest") as ingest,
    ):
        return run(house, ingest, api, options)


def run(house: House, ingest: Service, api: Service, options: argparse.Namespace) -> int:
    client = Client(
        api_key=house.credentials.api_key,
        ingest_url=ingest.url,
        api_url=api.url,
        queue_size=options.scores,
        queue_bytes=4 << 30,
    )
    began = time.perf_counter()
    ids, scoring_seconds = score_all(client, ingest, options)
    flushed = client.flush(PATIENCE_SECONDS)
    sent_seconds = time.perf_counter() - began
    counted = client.counters()
    print(f"scored {counted.scored:,} in {scoring_seconds:.1f} s by {options.threads} threads; {options.kills} kills")
    print(
        f"sent   {counted.sent:,} in {sent_seconds:.1f} s; sent again {counted.retried:,}; dropped {counted.dropped:,}"
    )
    wait_until(lambda: stored_count(client) >= len(ids), PATIENCE_SECONDS, poll_seconds=0.5)
    print(f"stored {stored_count(client):,} by {time.perf_counter() - began:.1f} s; reading every id back")
    found = [score["id"] for score in client.scores()]
    same = sorted(found) == sorted(ids)
    print(f"read   {len(found):,} scores; {len(set(ids)):,} ids were returned by score(); the same, each once: {same}")
    client.shutdown()
    return 0 if flushed and same and counted.dropped == 0 else 1


def score_all(client: Client, ingest: Service, options: argparse.Namespace) -> tuple[list[str], float]:
    """Score from all threads, and meanwhile kill ingest each time another part has been sent."""
    ids: list[list[str]] = [[] for _ in range(options.threads)]
    each = options.scores // options.threads
    threads = [
        threading.Thread(target=score_many, args=(client, each, number, ids[number]))
        for number in range(options.threads)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for kill in range(1, options.kills + 1):
        after = kill * each * options.threads // (options.kills + 1)
        wait_until(partial(has_sent, client, after), PATIENCE_SECONDS, poll_seconds=0.01)
        kill_and_start(ingest)
        print(f"  killed ingest after {client.counters().sent:,} scores, and started it again", flush=True)
    for thread in threads:
        thread.join()
    return [score_id for part in ids for score_id in part], time.perf_counter() - began


def score_many(client: Client, count: int, thread: int, ids: list[str]) -> None:
    ids.extend(
        client.score("relevance", (number % 1000) / 1000, trace_id=f"{thread}-{number // 10}")
        for number in range(count)
    )


def has_sent(client: Client, count: int) -> bool:
    return client.counters().sent >= count


def kill_and_start(ingest: Service) -> None:
    os.kill(ingest.pid, signal.SIGKILL)
    wait_until(lambda: not ingest.process.is_running(), PATIENCE_SECONDS, poll_seconds=0.01)
    ingest.process.launch()


def stored_count(client: Client) -> int:
    try:
        items: list[Any] = client.aggregate(percentiles=False)
    except Unreachable:
        return 0
    return sum(item["count"] for item in items)


if __name__ == "__main__":
    sys.exit(main())
