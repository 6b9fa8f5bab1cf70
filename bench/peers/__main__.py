"""`python -m bench.peers`: the same work on Assay and on Arize Phoenix, in turn, in one house; print the table."""

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import uvloop

from bench.figures import Figure, table
from bench.house import open_house
from bench.peers import phoenix as arize
from bench.peers.assay import assay
from bench.peers.measure import kept_after_kill, rate
from bench.peers.report import PeersRun, dropped_figures, keep, kill_figures, rate_figures, refresh_readme, summary
from bench.peers.store import Store
from bench.peers.work import judgements
from bench.plan import in_turn
from bench.results import machine, versions
from bench.usage import OthersMeter

R = TypeVar("R")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="Assay beside Arize Phoenix.")
    parser.add_argument("--scores", type=int, default=10_000, help="sent to each store in each round (10,000)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved runs of each store (9)")
    parser.add_argument("--kills", type=int, default=3, help="how often each store is flooded and killed (3); 0: never")
    parser.add_argument("--killed-scores", type=int, default=5_000, help="accepted before each SIGKILL (5,000)")
    parser.add_argument("--flood-scores", type=int, default=20_000, help="accepted in a flood, without a kill (20,000)")
    parser.add_argument("--readme", action="store_true", help="put the table into bench/README.md")
    parser.add_argument("--no-keep", action="store_true", help="write nothing to bench/results/")
    return parser.parse_args()


async def run(chosen: argparse.Namespace) -> PeersRun:
    python = arize.installed_python()  # before anything is timed
    at, began = datetime.now(UTC), time.perf_counter()
    others = OthersMeter()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-peers-")))
        house = stack.enter_context(open_house(folder))
        own = await stack.enter_async_context(assay(house))
        peer = await stack.enter_async_context(arize.phoenix(house, folder, python))
        await peer.add_spans(max(chosen.scores, chosen.killed_scores, chosen.flood_scores))
        stores: list[Store] = [own, peer, peer.synchronous()]
        figures = await _rates(stores, chosen)
        if chosen.kills:
            figures += [*await _floods(stores, chosen), *await _kills(stores, chosen)]
        found = await versions(house)
    return PeersRun(
        at=at,
        seconds=time.perf_counter() - began,
        scores=chosen.scores,
        rounds=chosen.rounds,
        kills=chosen.kills,
        killed_scores=chosen.killed_scores,
        flood_scores=chosen.flood_scores,
        others=others.share(),
        machine=machine(),
        versions={**found, arize.PACKAGE: arize.pinned_version(arize.REQUIREMENTS.read_text())},
        figures=figures,
    )


async def _rates(stores: Sequence[Store], chosen: argparse.Namespace) -> list[Figure]:
    work = judgements(chosen.scores)
    for store in stores:  # a whole round, so that all are as warm
        await rate(store, work)
    return rate_figures(await _in_rounds(stores, chosen.rounds, "rates", lambda store: rate(store, work)), len(work))


async def _floods(stores: Sequence[Store], chosen: argparse.Namespace) -> list[Figure]:
    work = judgements(chosen.flood_scores)
    rates = await _in_rounds(stores, chosen.kills, "floods", lambda store: rate(store, work))
    return dropped_figures(rates, len(work))


async def _kills(stores: Sequence[Store], chosen: argparse.Namespace) -> list[Figure]:
    work = judgements(chosen.killed_scores)
    kept = await _in_rounds(stores, chosen.kills, "kills", lambda store: kept_after_kill(store, work))
    return kill_figures(kept, len(work))


async def _in_rounds(
    stores: Sequence[Store], rounds: int, what: str, measure: Callable[[Store], Awaitable[R]]
) -> dict[str, list[R]]:
    """Measure every store once in each round, every second round the other way round. By name of the store."""
    by_name = {store.name: store for store in stores}
    runs: dict[str, list[R]] = {name: [] for name in by_name}
    for number in range(rounds):
        for name in in_turn(list(by_name), number):
            print(f"{what}, round {number + 1} of {rounds}: {name}", flush=True)
            runs[name].append(await measure(by_name[name]))
    return runs


def main() -> None:
    chosen = arguments()
    done = uvloop.run(run(chosen))
    print(f"\n{summary(done)}\n\n{table(done.figures)}\n")
    if not chosen.no_keep:
        print(f"kept in {keep(done)}")
    if chosen.readme:
        refresh_readme(done)


if __name__ == "__main__":
    main()
