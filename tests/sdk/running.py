"""Run the command and the examples as a person does: as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.sdk.conftest import SDK, House

PATIENCE_SECONDS = 120


def environment_of(house: House, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(SDK / "src"),
        "PYTHONWARNINGS": "ignore",  # of the examples' own libraries
        **house.environment,
    }


def run_assay(house: House, folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command in a folder; return what it printed. Fails when the exit code is another."""
    return run_python(house, folder, "-m", "assay", *arguments, code=code)


def run_python(
    house: House, folder: Path, *arguments: str, code: int = 0, more: Mapping[str, str] | None = None
) -> str:
    """Run Python with `more` in its environment."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment_of(house, folder), **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == code, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def run_json(house: House, folder: Path, *arguments: str, code: int = 0) -> Any:
    return json.loads(run_assay(house, folder, *arguments, "--json", code=code))
