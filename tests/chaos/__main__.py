"""`python -m tests.chaos`: kill everything at random under load and account for every score. Exits 1 if one is off."""

import argparse
import secrets
import sys

from tests.chaos.run import run
from tests.chaos.table import table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs; half as many other signals come with them")
    parser.add_argument("--seed", type=int, default=None, help="of the plan and of what is sent; random if left out")
    parser.add_argument("--rate", type=float, default=3000, help="scores per second")
    asked = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    print(f"chaos: seed {seed}, {asked.kills} kills, {asked.rate:g} scores/s", flush=True)
    result = run(seed=seed, kills=asked.kills, rate=asked.rate)
    print(table(result))
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
