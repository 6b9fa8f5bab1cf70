"""What is kept of a run: bench/results/<date>.json."""

import os
import platform
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg
import msgspec
import psutil
from msgspec import Struct
from redis.asyncio import Redis

from bench.figures import Figure
from bench.house import House
from shared.version import VERSION

HERE = Path(__file__).parent
RESULTS_FOLDER = HERE / "results"
README = HERE / "README.md"
_PACKAGES = (
    "asyncpg", "granian", "hiredis", "httptools", "msgspec", "redis", "starlette", "structlog", "uvicorn", "uvloop",
)  # fmt: skip


class Machine(Struct, frozen=True):
    cores: int
    memory_gib: float
    processor: str
    system: str


class PartRun(Struct, frozen=True):
    """What one part brought home. `others` is the share of the cores' time that something else used meanwhile."""

    name: str
    at: datetime
    seconds: float
    others: float
    figures: list[Figure]


class Run(Struct, frozen=True):
    """One run of the bench: of all parts, or of those that were chosen."""

    at: datetime
    seconds: float
    rows: str
    rounds: int
    run_seconds: float
    machine: Machine
    versions: dict[str, str]
    parts: list[PartRun]


def commit() -> str:
    """The checkout's commit, with `-dirty` when its files differ, but for those that a run writes; "unknown" outside a
    checkout."""
    try:
        name = _git("describe", "--always", "--abbrev=8", "--exclude=*")
        differs = _git("status", "--porcelain", "--untracked-files=no", ":/", ":!README.md", ":!charts")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if differs else name


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def machine() -> Machine:
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / (1 << 30), 1),
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
    )


async def versions(house: House) -> dict[str, str]:
    connection = await asyncpg.connect(house.database_url)
    redis = Redis.from_url(house.redis_url)
    found = {
        "assay": VERSION,
        "commit": commit(),
        "python": platform.python_version(),
        "postgres": await connection.fetchval("SHOW server_version"),
        "redis-server": (await redis.info("server"))["redis_version"],
    }
    await connection.close()
    await redis.aclose()
    return {**found, **{package: version(package) for package in _PACKAGES}}


def keep(run: Run) -> Path:
    """Write the run beside the earlier ones."""
    RESULTS_FOLDER.mkdir(exist_ok=True)
    path = RESULTS_FOLDER / f"{run.at:%Y-%m-%d-%H%M}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return path


def origin(run: Run, part: PartRun) -> str:
    """Where the figures of a part are from."""
    of = run.machine
    software = ", ".join(f"{name} {run.versions[name]}" for name in ("commit", "python", "postgres", "redis-server"))
    return (
        f"{part.at:%Y-%m-%d %H:%M} UTC, {of.cores} cores ({of.processor}), {of.memory_gib:g} GiB, {software}; "
        f"{run.rows} data; {run.rounds} rounds, timed runs of {run.run_seconds:g} s; it took {part.seconds:.0f} s, and "
        f"{part.others:.0%} of the CPU time went to something else."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
