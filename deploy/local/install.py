"""Install a hash-pinned requirements file into the virtual environment, and show that it goes on.

Called as `python install.py .venv requirements/run.txt` before anything is installed, so it imports only the standard
library.
The stamp, a copy of the file, is written last: what was cut short is done again, what has not changed is not.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

_COUNTED = ("Collecting ", "Requirement already satisfied: ")
_REMEMBERED_LINES = 15


def main(venv: Path, requirements: Path) -> None:
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two `make` side by side: the second waits and finds the work done
        stamp = venv / f"{requirements.stem}.stamp"
        if not _is_current(stamp, requirements):
            _make_venv(venv)
            _install(venv, requirements)
        stamp.write_text(requirements.read_text())


def _is_current(stamp: Path, requirements: Path) -> bool:
    return stamp.exists() and stamp.read_text() == requirements.read_text()


def _make_venv(venv: Path) -> None:
    """Make the environment unless one is there whose Python and pip still run."""
    python = str(venv / "bin" / "python")
    if venv.exists() and shutil.which(python) and not _fails([python, "-m", "pip", "--version"]):
        return
    print(f"Making a virtual environment in {venv} with Python {sys.version.split()[0]}", flush=True)
    if _fails([sys.executable, "-m", "venv", "--clear", str(venv)]):
        _give_up(f"Python could not make {venv}.", "On Debian and Ubuntu it needs: apt install python3-venv")


def _install(venv: Path, requirements: Path) -> None:
    total = requirements.read_text().count("==")
    print(f"Installing {requirements}: up to {total} packages", flush=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "--progress-bar", "off", "--no-deps", "--require-hashes", "-r", str(requirements)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last_lines = _show_progress(process.stdout, total)
    if process.returncode != 0:
        _give_up(
            "\n".join(last_lines), "pip could not install what Assay needs; what it said is above. Then run make again."
        )


def _show_progress(lines: Iterable[str], total: int) -> list[str]:
    """Fold pip's output into one line on a terminal, into a line now and then elsewhere. Returns the end of it."""
    counted, remembered = 0, list[str]()
    for line in lines:
        remembered = [*remembered, line.rstrip()][-_REMEMBERED_LINES:]
        if line.startswith(_COUNTED):
            counted += 1
            _say(
                f"  {counted}/{total} {line.split('==')[0].split(': ')[-1].removeprefix('Collecting ').split()[0]}",
                counted,
            )
        elif line.startswith("Installing collected"):
            _say("  downloaded; unpacking", 0)
    _say("  done", 0)
    if sys.stdout.isatty():
        print()
    return remembered


def _say(text: str, number: int) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)
    elif number % 20 == 0:
        print(text, flush=True)


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0


def _give_up(problem: str, remedy: str) -> NoReturn:
    sys.exit(f"{problem}\n{remedy}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        _give_up("\nThe installation was cut short.", "The next make does it again.")
