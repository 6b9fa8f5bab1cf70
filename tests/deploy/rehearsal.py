"""The image without an engine: an environment of the packages that it has, the folders that it copies, and a user like
its own, who can change nothing of them."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.containerfile import copied_from_the_checkout, stages
from tests.deploy.distributions import files_of, installed, pins
from tests.system.processes import ROOT, Service

UID = 10001


@dataclass(frozen=True)
class Image:
    """`app` is /app of the image, `python` the command of its Python, `uid` who runs it."""

    app: Path
    python: tuple[str, ...]
    uid: int

    def run(self, *arguments: str, **environment: str) -> str:
        """What a command of the image says. Raises `subprocess.CalledProcessError` when it fails."""
        done = subprocess.run(
            [*self.python, *arguments], cwd=self.app, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def service(self, name: str, database_url: str, redis_url: str) -> Service:
        """Not started yet."""
        settings = {"PYTHONDONTWRITEBYTECODE": "1"}
        return Service(name, database_url, redis_url, settings, python=self.python, folder=self.app)

    def written(self) -> list[Path]:
        """What is in /app and was not copied there."""
        return [path for path in self.app.rglob("*") if not _original_of(path, self.app).exists()]


@contextmanager
def rehearse() -> Iterator[Image]:
    """In a folder of its own: where pytest keeps its files, another user may not look."""
    with tempfile.TemporaryDirectory(prefix="assay-image-") as name:
        home = Path(name)
        home.chmod(0o755)
        _install(home / "venv")
        _copy(home / "app")
        _close(home)
        try:
            yield Image(
                home / "app", _as_its_user(home / "venv" / "bin" / "python"), UID if _is_root() else os.getuid()
            )
        finally:
            _open(home)


def _install(target: Path) -> None:
    """The wheels of serve.txt as this environment has them: its lock has the same hashes, and no index is asked."""
    venv.create(target, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = target / "lib" / version / "site-packages"
    for distribution in installed(pins("serve")):
        for file in files_of(distribution):
            source = Path(str(distribution.locate_file(str(file))))
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, packages / file)


def _copy(app: Path) -> None:
    """As the container file does: folders under their names, files into /app itself."""
    app.mkdir()
    for source in _sources().values():
        if source.is_dir():
            shutil.copytree(source, app / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, app)


def _sources() -> dict[str, Path]:
    """What becomes /app, by its name there."""
    return {Path(source).name: ROOT / source for source in copied_from_the_checkout(stages()[-1])}


def _original_of(path: Path, app: Path) -> Path:
    name, *within = path.relative_to(app).parts
    return _sources().get(name, ROOT / "absent").joinpath(*within)


def _close(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222 | 0o444)


def _open(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def _as_its_user(python: Path) -> tuple[str, ...]:
    """Root becomes the image's user, who keeps one right: to read what is closed to others, as this Python may be."""
    if not _is_root():
        return (str(python),)
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "root needs setpriv (of util-linux) to become another user"
    rights = "-all,+dac_read_search"
    user = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    return (setpriv, *user, "--no-new-privs", str(python))


def _is_root() -> bool:
    return os.geteuid() == 0
