"""`make fuzz`: every target under atheris for its share of the time, and a table of what came of it."""

import argparse
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
KEPT = CHECKOUT / ".fuzz"
"""What the fuzzer found to be worth keeping, for the next run; and what broke a law."""

TARGETS = ("decode", "item", "gzip", "gzip_of", "query", "cursor", "envelope", "connection")
INPUT_BYTES_MAX = 4096
DICTIONARIES = {"decode": "json", "item": "json", "query": "query", "connection": "http"}
_DONE = re.compile(r"^#(?P<runs>\d+)\s+DONE\s+cov: (?P<coverage>\d+) ft: (?P<features>\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """Of one target. `coverage` counts edges of our code that were taken, `features` also how often each was."""

    target: str
    runs: int
    coverage: int
    features: int
    finding: str


def is_available() -> bool:
    return importlib.util.find_spec("atheris") is not None


def fuzz(target: str, *limits: str, kept: Path = KEPT) -> Outcome:
    """Run one target until a limit of libFuzzer's (`-runs=1000`, `-max_total_time=60`) or a broken law."""
    corpus, findings = kept / target, kept / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_len={INPUT_BYTES_MAX}", "-timeout=10", f"-artifact_prefix={findings}/{target}-", *limits]
    if target in DICTIONARIES:
        options.append(f"-dict={HERE / 'words' / DICTIONARIES[target]}.dict")
    command = [sys.executable, "-m", "tests.fuzz.guided", target, *options, str(corpus), str(HERE / "seeds" / target)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, errors="replace", check=False)
    found = _DONE.search(done.stderr)
    runs, coverage, features = map(int, found.groups()) if found else (0, 0, 0)
    return Outcome(target, runs, coverage, features, "" if done.returncode == 0 else done.stderr[-3000:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them together")
    chosen = parser.parse_args()
    if not is_available():
        print("atheris is not installed: it has no wheel for this Python or this machine", file=sys.stderr)
        return 2
    targets = chosen.targets or list(TARGETS)
    outcomes = []
    for target in targets:
        outcome = fuzz(target, f"-max_total_time={max(1, chosen.seconds // len(targets))}")
        outcomes.append(outcome)
        said = "BROKEN" if outcome.finding else "no law broken"
        print(
            f"{target:12} {outcome.runs:>12,} runs {outcome.coverage:>6} edges {outcome.features:>7} features  {said}"
        )
        print(outcome.finding, end="", flush=True)
    return 1 if any(outcome.finding for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
