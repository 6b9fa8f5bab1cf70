"""`python -m tests.upgrade`: roll out this release, back, and out again, under load. Exits 1 if a score is off."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.upgrade.release import NoPreviousRelease, previous_release
from tests.upgrade.run import run
from tests.upgrade.table import table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--seed", type=int, default=2982, help="of what is sent")
    parser.add_argument("--rate", type=float, default=1000, help="scores per second")
    parser.add_argument("--side-by-side", type=int, default=10, help="how long each mixture is kept, 1 is short")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-upgrade-") as folder:
        try:
            previous = previous_release(Path(folder))
        except NoPreviousRelease as reason:
            sys.exit(str(reason))
        result = run(previous, seed=asked.seed, rate=asked.rate, side_by_side=asked.side_by_side)
    print(table(result))
    return 1 if result.findings.problem_count else 0


if __name__ == "__main__":
    sys.exit(main())
