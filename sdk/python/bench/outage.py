"""What the client holds and counts while the server is away.

    python bench/outage.py [--seconds 600] [--rate 5000] [--spool]

Scores at a steady rate with nobody listening, and prints the process's memory and the client's counters as time goes
by. Ends with exit code 0 when the counters add up to the number of calls, and no more than the queue is held.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from assay import Client

LINES = 12
SLICE_SECONDS = 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--spool", action="store_true", help="hold it in files, at most 256 MiB")
    options = parser.parse_args()
    logging.basicConfig(format="  log: %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        spool: dict[str, Any] = {"spool_dir": folder, "spool_bytes": 256 << 20} if options.spool else {}
        client = Client(
            api_key="assay_bench", ingest_url="http://127.0.0.1:9", log_seconds=60, shutdown_seconds=0, **spool
        )
        print(f"before: {memory_mib():.0f} MiB")
        calls = score_steadily(client, options.seconds, options.rate)
        counted = client.counters()
        client.shutdown(0)
        after = client.counters()
    print(f"calls {calls:,}; at the end of the outage {counted}")
    print(f"after shutdown {after}")
    held = client.settings.queue_size
    whole = calls == counted.scored == counted.pending + counted.dropped and (options.spool or counted.pending <= held)
    return 0 if whole and calls == after.dropped + after.pending else 1


def score_steadily(client: Client, seconds: float, rate: int) -> int:
    """Return how often it scored."""
    began = time.monotonic()
    calls = 0
    shown = 0
    while (now := time.monotonic() - began) < seconds:
        while calls < now * rate:
            client.score("relevance", 0.92, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", comment="on topic")
            calls += 1
        if now >= seconds / LINES * shown:
            counted = client.counters()
            print(
                f"{now:6.0f} s {memory_mib():6.0f} MiB  pending {counted.pending:,}  dropped {counted.dropped:,}",
                flush=True,
            )
            shown += 1
        time.sleep(SLICE_SECONDS)
    return calls


def memory_mib() -> float:
    """Return the resident memory, on Linux."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
