"""What make does before anything is installed: find a Python, and install only what has changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import install

FIND_PYTHON = Path(install.__file__).with_name("find_python.sh")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def pretend(programs: Path, name: str, version: str, *, fits: bool) -> None:
    code = 0 if fits else 1
    text = f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" && exit 0\nexit {code}\n'
    (programs / name).write_text(text)
    (programs / name).chmod(0o755)


def find_python(programs: Path, wanted: str = "python3") -> "subprocess.CompletedProcess[str]":
    command = ["/bin/sh", str(FIND_PYTHON), wanted]
    return subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, check=False)


def test_the_wanted_python_is_taken_when_it_is_new_enough(programs: Path) -> None:
    pretend(programs, "python3", "3.11.0", fits=True)
    pretend(programs, "python3.14", "3.14.0", fits=True)

    assert find_python(programs).stdout == "python3\n"


def test_an_old_one_gives_way_to_the_newest_that_runs(programs: Path) -> None:
    pretend(programs, "python3", "3.9.2", fits=False)
    pretend(programs, "python3.13", "a placeholder", fits=False)
    pretend(programs, "python3.12", "3.12.1", fits=True)
    pretend(programs, "python3.11", "3.11.0", fits=True)

    assert find_python(programs).stdout == "python3.12\n"


def test_without_any_it_says_what_is_there_and_what_to_do(programs: Path) -> None:
    pretend(programs, "python3", "3.9.2", fits=False)

    refused = find_python(programs)

    assert refused.returncode == 1
    assert "needs Python 3.11 or newer; here is Python 3.9.2" in refused.stderr
    assert "make PYTHON=" in refused.stderr


def test_an_unchanged_lock_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Path] = []
    monkeypatch.setattr(install, "_make_venv", lambda venv: None)
    monkeypatch.setattr(install, "_install", lambda venv, requirements: installed.append(requirements))
    lock = tmp_path / "run.txt"
    lock.write_text("a==1\n")

    for text in ("a==1\n", "a==1\n", "a==2\n"):
        lock.write_text(text)
        install.main(tmp_path, lock)

    assert installed == [lock, lock]


def test_an_install_that_fails_leaves_no_stamp_and_says_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho no room left\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    monkeypatch.setattr(install, "_make_venv", lambda venv: None)
    lock = tmp_path / "run.txt"
    lock.write_text("a==1\n")

    with pytest.raises(SystemExit, match="no room left"):
        install.main(tmp_path, lock)

    assert not (tmp_path / "run.stamp").exists()


def test_it_runs_without_anything_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", install.__file__]

    refused = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert "IndexError" in refused.stderr
    assert "ModuleNotFoundError" not in refused.stderr
