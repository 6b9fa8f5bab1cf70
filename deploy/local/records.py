"""What is written down about a run: run.json while it runs, credentials.json for good; for their owner alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from deploy.local.errors import CannotStart
from deploy.local.home import Home
from deploy.local.secret_files import write_secret

_T = TypeVar("_T")


class Credentials(msgspec.Struct, frozen=True):
    """What the first start made: a project that starts empty, its owner, and a project for generated data."""

    workspace_id: str
    project_id: str
    api_key: str
    email: str
    password: str
    demo_project_id: str
    demo_api_key: str


class Run(msgspec.Struct, frozen=True):
    """Where a running Assay is. A pid is None for a server that isn't ours."""

    ingest_url: str
    api_url: str
    project_id: str
    api_key: str
    email: str
    password: str
    database_url: str
    redis_url: str
    pids: dict[str, int | None]


def read_credentials(home: Home) -> Credentials | None:
    return _read(home.credentials_file, Credentials)


def write_credentials(home: Home, credentials: Credentials) -> None:
    _write(home.credentials_file, credentials)


def read_run(home: Home) -> Run:
    """Return where the Assay of this home is. Raises CannotStart when none runs."""
    run = _read(home.run_file, Run)
    if run is None:
        raise CannotStart(
            f"No Assay runs on {home.folder}.",
            "Start one with `make run` in another terminal, or set ASSAY_HOME to its folder.",
        )
    return run


def write_run(home: Home, run: Run) -> None:
    _write(home.run_file, run)


def read_pids(home: Home) -> Mapping[str, int | None]:
    """Return the services' pids as last written, whether or not they still run."""
    return _read(home.pids_file, dict[str, int | None]) or {}


def write_pids(home: Home, pids: Mapping[str, int | None]) -> None:
    _write(home.pids_file, dict(pids))


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise CannotStart(f"{path} can't be read: {error}.", "Put it back as it was, or remove it.") from error


def _write(path: Path, content: object) -> None:
    write_secret(path, msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")
