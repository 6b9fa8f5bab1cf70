"""What is kept of a run: bench/results/<date>.json, and the table in bench/README.md."""

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

from bench.figures import Figure, table
from bench.house import House
from shared.version import VERSION

HERE = Path(__file__).parent
RESULTS_FOLDER = HERE / "results"
README = HERE / "README.md"
_BEGIN, _END = "<!-- the last run -->\n", "<!-- end of the last run -->\n"
_PACKAGES = (
    "asyncpg", "granian", "hiredis", "httptools", "msgspec", "redis", "starlette", "structlog", "uvicorn", "uvloop",
)  # fmt: skip


class Machine(Struct, frozen=True):
    cores: int
    memory_gib: float
    processor: str
    system: str


class Run(Struct, frozen=True):
    """One run of the bench. `others` is the share of the cores' time that something else used meanwhile."""

    at: datetime
    seconds: float
    rows: str
    rounds: int
    run_seconds: float
    others: float
    machine: Machine
    versions: dict[str, str]
    figures: list[Figure]


def commit() -> str:
    """The checkout's commit, with `-dirty` when its files differ; "unknown" outside a checkout."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> Machine:
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / (1 << 30), 1),
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
    )


async def versions(house: House) -> dict[str, str]:
    connection = await asyncpg.connect(house.postgres.url)
    redis = Redis.from_url(house.redis.url)
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


def refresh_readme(run: Run) -> None:
    """Put the run's table in the place of the one before. Parts that were not run are not there."""
    before, _, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    README.write_text(f"{before}{_BEGIN}\n{summary(run)}\n\n{table(run.figures)}\n\n{_END}{after}", encoding="utf-8")


def summary(run: Run) -> str:
    of = run.machine
    software = ", ".join(f"{name} {run.versions[name]}" for name in ("commit", "python", "postgres", "redis-server"))
    return (
        f"{run.at:%Y-%m-%d %H:%M} UTC, {of.cores} cores ({of.processor}), {of.memory_gib:g} GiB, {software}; "
        f"{run.rows} data; {run.rounds} interleaved rounds, timed runs of {run.run_seconds:g} s; "
        f"{run.others:.0%} of the CPU time went to something else."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
