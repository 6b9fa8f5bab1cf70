"""`python -m tests.chaos.frozen_postgres`: Postgres stands still under load; ingest must not notice (else exit code 1).

"Notice" is a request without a 202 or 207, a score that is not there in the end, or a service that had to be started
again. Latencies are printed for a person to judge.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from statistics import quantiles

from tests.chaos.audit import Findings, audit, drain
from tests.chaos.house import House
from tests.chaos.senders import Answer, Load

CALM_SECONDS = 5.0
PHASES = ("before", "during", "after")


@dataclass
class Frozen:
    """What the senders saw in each phase, and what the audit found."""

    answers: dict[str, list[Answer]]
    pids_before: dict[str, int]
    pids_after: dict[str, int]
    drain_seconds: float
    findings: Findings

    @property
    def refused(self) -> list[Answer]:
        ours = [answer for answers in self.answers.values() for answer in answers]
        return [answer for answer in ours if answer.outcome not in ("202", "207", "422")]

    @property
    def is_good(self) -> bool:
        return not self.refused and not self.findings.problem_count and self.pids_before == self.pids_after


def run(*, frozen_seconds: float, rate: float, seed: int = 1, calm_seconds: float = CALM_SECONDS) -> Frozen:
    with House(ingests=1, workers=2) as house:
        pids_before = house.pids()
        load = Load(house, seed, rate, impatience_seconds=(30.0,))
        with load:
            time.sleep(calm_seconds)
            frozen_at = time.monotonic()
            house.postgres.freeze()
            time.sleep(frozen_seconds)
            thawed_at = time.monotonic()
            house.postgres.thaw()
            time.sleep(calm_seconds)
        started = time.monotonic()
        asyncio.run(drain(house))
        drained = time.monotonic()
        findings = asyncio.run(audit(house, load.ledgers))
        pids_after = {name: part.pid for name, part in house.parts().items() if part.exit_code() is None}
    for problem in load.problems:
        findings.problem(problem)
    return Frozen(
        answers={phase: _answers(load, phase, frozen_at, thawed_at) for phase in PHASES},
        pids_before=pids_before,
        pids_after=pids_after,
        drain_seconds=drained - started,
        findings=findings,
    )


def _answers(load: Load, phase: str, frozen_at: float, thawed_at: float) -> list[Answer]:
    start, end = {"before": (0.0, frozen_at), "during": (frozen_at, thawed_at), "after": (thawed_at, float("inf"))}[
        phase
    ]
    return [answer for answer in load.answers if start <= answer.at < end]


def table(frozen: Frozen) -> str:
    lines = [f"{'ingest':<10}{'requests':>10}{'not 2xx':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}"]
    for phase, answers in frozen.answers.items():
        ms = sorted(answer.seconds * 1000 for answer in answers)
        cuts = quantiles(ms, n=100)
        refused = sum(answer in frozen.refused for answer in answers)
        lines.append(f"{phase:<10}{len(ms):>10}{refused:>10}{cuts[49]:>10.1f}{cuts[98]:>10.1f}{ms[-1]:>10.1f}")
    found = frozen.findings
    restarted = [name for name, pid in frozen.pids_before.items() if frozen.pids_after.get(name) != pid]
    return "\n".join(
        [
            *lines,
            f"acknowledged {found.acknowledged:,}, stored {found.stored:,}, rejected {found.rejected:,}, "
            f"lost {found.lost}, doubled {found.doubled}, rollups that differ {found.rollup_differences}",
            f"drained {frozen.drain_seconds:.1f} s after the last one; restarted: {', '.join(restarted) or 'none'}",
            *found.problems,
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.frozen_postgres", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long Postgres is frozen")
    parser.add_argument("--rate", type=float, default=2000, help="scores per second")
    asked = parser.parse_args()
    frozen = run(frozen_seconds=asked.seconds, rate=asked.rate)
    print(table(frozen))
    return 0 if frozen.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
