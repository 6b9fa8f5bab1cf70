"""`python -m tests.deploy`: restart each service and then all of them behind the proxy, under load, and count.
Exits 1 if a request failed or a score is off. Needs Caddy."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from shared.schema.runner import migrate
from tests.deploy.houses import House, open_house
from tests.deploy.proxy import CADDY
from tests.deploy.restarts import Load, look_after, restart_phases, table


async def restart(house: House, rounds: int) -> int:
    load = Load(house.proxy, house)
    async with load.going_on():
        phases = await restart_phases(house, load, rounds)
    kept = await look_after(house, load)
    print(table(phases, kept))
    for (kind, outcome), count in load.failed().items():
        print(f"{count} × {kind}: {outcome}")
    return 1 if load.failed() or kept.lost or kept.stored_besides or kept.rollups_that_differ else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="how often each process is restarted in each phase")
    asked = parser.parse_args()
    if CADDY is None:
        sys.exit("caddy is not installed (Debian and Ubuntu: apt install caddy)")
    with tempfile.TemporaryDirectory(prefix="assay-restarts-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "postgres") as postgres:
            asyncio.run(migrate(postgres.url, post=True))
            template = postgres.url.rsplit("/", 1)[1]
            with open_house(postgres, template, Path(folder), workers=2) as house:
                return asyncio.run(restart(house, asked.rounds))


if __name__ == "__main__":
    sys.exit(main())
