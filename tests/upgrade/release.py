"""A release whose services can be run: this checkout, or the previous one, built from the commit in `PREVIOUS`."""

import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tests.system.processes import ROOT

PREVIOUS = (Path(__file__).parent / "PREVIOUS").read_text().strip()
_PINNED = re.compile(r"^([a-z0-9._-]+==\S+)", re.MULTILINE | re.IGNORECASE)


class NoPreviousRelease(Exception):
    """The commit is not in this checkout; the message says what to do."""


@dataclass(frozen=True)
class Release:
    """Where its code is, and a Python that has what it needs."""

    name: str
    root: Path
    python: str

    def run(self, *command: str, **environment: str) -> str:
        """What `python -m command` of that release prints."""
        done = subprocess.run(
            [self.python, "-m", *command],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], **environment},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout


NEW = Release("new", ROOT, sys.executable)


def previous_release(folder: Path) -> Release:
    """Raises `NoPreviousRelease`."""
    return release_of(PREVIOUS, folder)


def release_of(commit: str, folder: Path) -> Release:
    """Its code in `folder`. Where it needs other packages than this one has, with an environment of its own. Raises
    `NoPreviousRelease`."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        raise NoPreviousRelease(f"commit {commit[:12]} is not in this checkout: git fetch --unshallow brings it")
    root = folder / "previous"
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(root, filter="data")
    return Release("old", root, sys.executable if _is_content(root) else _python_of_its_own(root))


def new_migrations() -> list[str]:
    """Those that the previous release does not have, by number."""
    told = subprocess.run(
        ["git", "ls-tree", "--name-only", PREVIOUS, "shared/schema/migrations/"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    known = {Path(path).name for path in told.stdout.split()}
    return sorted(path.name for path in (ROOT / "shared/schema/migrations").glob("*.sql") if path.name not in known)


def _is_content(root: Path) -> bool:
    """Whether it is content with the versions that are installed here."""
    needed, present = (_pinned(folder / "requirements" / "run.txt") for folder in (root, ROOT))
    return needed <= present


def _pinned(requirements: Path) -> set[str]:
    return set(_PINNED.findall(requirements.read_text()))


def _python_of_its_own(root: Path) -> str:
    """Takes as long as installing takes."""
    command = [sys.executable, "-I", "deploy/local/install.py", ".venv", "requirements/run.txt"]
    subprocess.run(command, cwd=root, check=True)
    return str(root / ".venv" / "bin" / "python")
